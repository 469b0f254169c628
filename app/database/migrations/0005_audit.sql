-- Who did what. Rows are only ever added, each with the digest of the one before it, so that a changed row is found.
create table audit (
  -- 1, 2, 3 … without gaps: part of what is digested.
  seq           bigint primary key,
  id            text not null unique,
  -- To the millisecond, so that what is stored is all that was digested.
  at            timestamptz(3) not null,
  actor_id      text not null,
  actor_name    text not null,
  actor_kind    text not null check (actor_kind in ('user', 'service-account', 'system', 'anonymous')),
  credential    text,
  action        text not null,
  target        text not null,
  outcome       text not null check (outcome in ('done', 'denied', 'failed')),
  status        integer,
  address       text,
  user_agent    text,
  request_id    text,
  before_digest text,
  after_digest  text,
  detail        jsonb,
  previous      bytea not null,
  hash          bytea not null
);
create index audit_at on audit (at);
create index audit_actor on audit (actor_name, seq);
create index audit_actor_id on audit (actor_id, seq);

-- How many rows there are and the hash of the last one: a tail that was cut off is missed. Taken by whoever appends,
-- so that all replicas write one chain.
create table audit_head (
  singleton boolean primary key default true check (singleton),
  count     bigint not null,
  hash      bytea not null
);
insert into audit_head (count, hash) values (0, decode(repeat('00', 32), 'hex'));
