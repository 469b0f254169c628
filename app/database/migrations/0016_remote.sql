-- The blob of the spec ('' none) that a change was first prepared on top of, where writing it had to wait: if another
-- hand changes the spec meanwhile, the change is refused and its author told.
alter table changes add column based_on text;

-- What stands in Git, came in by other hands and is not taken up: the project, or the environment (team and project
-- empty), stays as it was.
create table source_problems (
  path        text primary key,
  -- path: a file or folder that breaks the rules of the repository; spec: one that cannot be rendered; environment: an
  -- environment.yaml that cannot be read.
  kind        text not null check (kind in ('path', 'spec', 'environment')),
  environment text not null default '',
  team        text not null default '',
  project     text not null default '',
  -- path: what Git has there; another entry is judged anew.
  entry       text not null default '',
  code        text not null,
  detail      text not null,
  findings    jsonb not null default '[]',
  revision    text not null,
  found_at    timestamptz not null default now()
);
create index source_problems_of_project on source_problems (environment, team, project);
