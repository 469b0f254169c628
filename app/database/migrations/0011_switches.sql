-- Actions that somebody turned off: for a project, a team (project empty) or a whole environment (team empty too).
create sequence switch_versions;
create table switches (
  environment text not null,
  team        text not null default '',
  project     text not null default '',
  action      text not null check (action in ('apply', 'heal', 'prune', 'promote')),
  reason      text not null,
  actor       text not null,
  until       timestamptz,
  -- Never the same twice, not even of a switch that was taken away and set again: compare-and-set goes by it.
  version     bigint not null default nextval('switch_versions'),
  created_at  timestamptz not null default now(),
  -- Of a rollback: the revision that was left, and the blob of the spec that was returned to. Such a switch ends with
  -- the next deliberate change of the spec.
  left_revision text,
  spec_blob     text,
  primary key (environment, team, project, action),
  check (team <> '' or project = '')
);

-- A run that a person asked for: windows that let such runs pass let these manifests pass for a while.
create table asked_runs (
  environment text not null,
  team        text not null,
  project     text not null,
  -- Blob id of the manifests at that moment; empty: the project was gone from Git.
  manifests   text not null,
  actor       text not null,
  asked_at    timestamptz not null default now(),
  primary key (environment, team, project)
);

-- rollback: the newest commit of the spec when it was asked for, which it leaves.
alter table changes add column leaves text;

-- What a project waits for, as team/project of its environment: a circle is refused before it comes into Git.
alter table projects add column depends_on jsonb not null default '[]';
