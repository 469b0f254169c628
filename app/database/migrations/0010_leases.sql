-- Control planes that share this database. A sign of life gives `beat` another value, which never comes back; others
-- measure by their own monotonic clocks how long it stood still. No wall clock decides who lives.
create sequence replica_beats;
create table replicas (
  id         text primary key,
  beat       bigint not null default nextval('replica_beats'),
  started_at timestamptz not null default now(),
  -- Equal for replicas that have the same application secret.
  secret     text not null default ''
);

-- Rights of which one replica at a time has each. They live as long as their holder's row, so that a sign of life is
-- one small write, and taking a dead replica's row away frees all that it held, in the same transaction.
create table leases (
  name   text primary key,
  holder text references replicas (id) on delete set null,
  -- The fencing token: grows with each change of holder.
  epoch  bigint not null default 0
);
create index leases_of_holder on leases (holder);

-- Which state repository this database belongs to, as the repository says of itself before its first commit.
alter table installation add column repository text;
