-- A commit of the state repository in one environment whose outcome the Git host is told, while it may still change.
create table commit_attempts (
  -- The order of the commits on the branch.
  number      bigint generated always as identity primary key,
  revision    text not null,
  environment text not null,
  noted_at    timestamptz not null default now(),
  unique (revision, environment)
);

-- The projects that the commit changed there. open: not yet; failed: not yet, and something is wrong; done: reached once,
-- for ever; lost: failed, and a later commit has taken its place.
create table commit_attempt_projects (
  number       bigint not null references commit_attempts on delete cascade,
  environment  text not null,
  team         text not null,
  project      text not null,
  applied      text not null default 'open' check (applied in ('open', 'failed', 'done', 'lost')),
  healthy      text not null default 'open' check (healthy in ('open', 'failed', 'done', 'lost')),
  -- The first later commit that wrote the project's spec anew.
  superseded_by text,
  primary key (number, team, project)
);
create index commit_attempt_projects_open on commit_attempt_projects (environment, team, project)
  where applied in ('open', 'failed') or healthy in ('open', 'failed');

-- What the Git host should be told, and what it was last told. A state never goes back: pending, failure, success.
create table commit_statuses (
  number           bigint not null references commit_attempts on delete cascade,
  aspect           text not null check (aspect in ('applied', 'healthy')),
  state            text not null check (state in ('pending', 'success', 'failure')),
  description      text not null,
  sent_state       text,
  sent_description text,
  -- Sent so often; hosts take only so many of one commit and context.
  sent             integer not null default 0,
  -- Tries since the last one that went well.
  tries            integer not null default 0,
  -- Whoever sends it moves this ahead, so that nobody else does at the same time. Null: there is nothing to send.
  due_at           timestamptz,
  sent_at          timestamptz,
  primary key (number, aspect)
);
create index commit_statuses_due on commit_statuses (due_at) where due_at is not null;
create index commit_statuses_sent on commit_statuses (sent_at);

-- Specs that came into Git and cannot be rendered, by the blob that was looked at: why a project stays as it is.
create table spec_refusals (
  environment text not null,
  team        text not null,
  project     text not null,
  spec_blob   text not null,
  code        text not null,
  detail      text not null,
  at          timestamptz not null default now(),
  primary key (environment, team, project)
);
