-- Roles that people make beside the built-in ones. grants: permission → how far (personal, team, organization).
create table roles (
  name       text primary key,
  about      text not null default '',
  grants     jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Who owns projects. A team that has projects but no row here belongs to nobody but the organization.
create table teams (
  name       text primary key,
  title      text not null default '',
  created_at timestamptz not null default now()
);
insert into teams (name) select distinct team from projects on conflict do nothing;

-- A person or a service account in a team. One may be there for several reasons; the manual one's role counts first.
create table members (
  team       text not null references teams on delete cascade,
  -- usr_… or sva_…
  user_id    text not null,
  -- Counts in this team in place of the role in the organization; null: that one.
  role       text,
  -- 'manual', or 'identity:<provider>' for what came from its groups.
  source     text not null default 'manual',
  created_at timestamptz not null default now(),
  primary key (team, user_id, source)
);
create index members_of_user on members (user_id);

create table invitations (
  id         text primary key,
  hash       bytea not null unique,
  -- In lower case.
  email      text not null,
  role       text not null,
  team       text,
  -- The person who invites: what they may no longer grant when it is accepted, it does not grant.
  invited_by text not null,
  -- The link went by mail only: whoever brings it reads that mailbox.
  mailed     boolean not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at    timestamptz,
  used_by    text
);
create index invitations_open on invitations (email) where used_at is null;

create table service_accounts (
  id         text primary key,
  name       text not null unique,
  role       text not null,
  disabled   boolean not null default false,
  created_by text not null,
  created_at timestamptz not null default now()
);

-- What is known of a person beyond the table of better-auth. No row: not disabled.
create table people_state (
  user_id     text primary key,
  disabled    boolean not null default false,
  disabled_at timestamptz
);

-- A token acts for the person who made it, or for a service account; and never beyond its bounds (null: none).
alter table tokens alter column user_id drop not null;
alter table tokens add column service_account_id text references service_accounts on delete cascade;
alter table tokens add column created_by text not null default '';
alter table tokens add column scopes text[];
alter table tokens add column teams text[];
alter table tokens add column environments text[];
-- The first characters, by which people recognise it.
alter table tokens add column hint text not null default '';
alter table tokens add constraint tokens_owner check ((user_id is null) <> (service_account_id is null));
create index tokens_of_user on tokens (user_id);
create index tokens_of_service_account on tokens (service_account_id);

-- Tells everyone who keeps answers about access whose have changed: the value of the column that the trigger names, or
-- '*' for all. A table of its own asks for it the same way:
--   create trigger access after update or delete on … for each row execute function notify_access('user_id');
create function notify_access() returns trigger language plpgsql as $$
begin
  if tg_argv[0] = '*' then
    perform pg_notify('access', '*');
  else
    perform pg_notify('access', coalesce(to_jsonb(old) ->> tg_argv[0], to_jsonb(new) ->> tg_argv[0], '*'));
  end if;
  return null;
end $$;

create trigger access after update of scopes, teams, environments, expires_at, user_id, service_account_id, name or delete on tokens
  for each row execute function notify_access('id');
create trigger access after insert or update or delete on members
  for each row execute function notify_access('user_id');
create trigger access after insert or update or delete on roles
  for each row execute function notify_access('*');
create trigger access after insert or update or delete on people_state
  for each row execute function notify_access('user_id');
create trigger access after update or delete on service_accounts
  for each row execute function notify_access('id');
