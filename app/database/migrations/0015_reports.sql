-- What happened to a project that people should know of and that no status shows for long: adoptions, fights, drift,
-- objects that were kept or made anew. A project keeps its newest rows.
create table reports (
  number      bigint generated always as identity primary key,
  environment text not null,
  team        text not null,
  project     text not null,
  kind        text not null check (kind in ('adoption', 'fight', 'drift', 'kept', 'replaced')),
  -- `apps/v1 Deployment namespace/name`.
  object      text not null,
  message     text not null,
  -- [{ manager, fields }]: who had written what, where that is known.
  managers    jsonb not null default '[]',
  at          timestamptz not null default now()
);
create index reports_of_project on reports (environment, team, project, number desc);

-- True where the object's policy says that we never delete it.
alter table inventory add column keep boolean not null default false;
