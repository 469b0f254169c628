-- Ids made once and facts about the whole installation.
create table installation (
  singleton  boolean primary key default true check (singleton),
  id         text not null,
  created_at timestamptz not null default now()
);

-- How far a reader of the state repository has come: 'publish' (projects scanned), 'reconcile/<environment>'.
create table cursors (
  name       text primary key,
  revision   text not null,
  updated_at timestamptz not null default now()
);

-- The projects that Git holds or that a change will bring. An index of Git for lists: publish keeps it right.
create table projects (
  id          text primary key,
  environment text not null,
  team        text not null,
  project     text not null,
  created_by  text not null,
  -- The newest commit of the spec, its blob and the images it names; null before the first commit.
  revision    text,
  spec_blob   text,
  images      jsonb not null default '[]',
  created_at  timestamptz not null default now(),
  unique (environment, team, project)
);

-- One wish to edit the state repository. It ends as a commit ('committed', 'unchanged') or as a refusal.
create table changes (
  id          text primary key,
  -- The order in which changes were accepted and are written: two of one millisecond have no order by id.
  number      bigint generated always as identity,
  kind        text not null check (kind in ('put', 'delete', 'rollback', 'render', 'settings')),
  environment text not null,
  team        text not null default '',
  project     text not null default '',
  actor       text not null,
  -- put: project.yaml as sent; rollback: the spec of the revision it returns to; settings: environment.yaml.
  content     text,
  -- Git blob id of the spec that the caller had read (If-Match), or '' for "must not exist"; null: not asked.
  expected    text,
  message     text not null default '',
  state       text not null default 'accepted' check (state in ('accepted', 'committed', 'unchanged', 'refused')),
  revision    text,
  -- The problem that it was refused with: code, detail, data.
  problem     jsonb,
  attempts    integer not null default 0,
  due_at      timestamptz not null default now(),
  created_at  timestamptz not null default now(),
  finished_at timestamptz
);
create index changes_due on changes (number) where state = 'accepted';
create index changes_of_project on changes (environment, team, project, number desc);

-- What publish made: reconcile applies only manifests whose digest stands here for the spec beside them.
create table renders (
  environment        text not null,
  team               text not null,
  project            text not null,
  spec_digest        text not null,
  manifests_digest   text not null,
  environment_digest text not null,
  renderer           text not null,
  created_at         timestamptz not null default now(),
  primary key (environment, team, project, spec_digest, manifests_digest)
);

-- Which project serves a host; unique over all environments. An index of Git, written by publish.
create table hosts (
  host        text primary key,
  environment text not null,
  team        text not null,
  project     text not null
);
create index hosts_of_project on hosts (environment, team, project);

-- What reconcile last saw and did of a project; one write for each run that changed something.
create table project_status (
  environment      text not null,
  team             text not null,
  project          text not null,
  -- The revision and the digest of the manifests that were last applied completely; null before the first time.
  revision         text,
  manifests_digest text,
  -- The change of the newest commit that touched the project, for the reader; null for a push.
  phase            text not null,
  health           text not null default 'unknown',
  -- Object → reason, for everything that is not healthy.
  reasons          jsonb not null default '[]',
  problem          jsonb,
  attempts         integer not null default 0,
  retry_at         timestamptz,
  applied_at       timestamptz,
  updated_at       timestamptz not null default now(),
  primary key (environment, team, project)
);

-- Every object that we made, with its uid: the only proof that lets us delete it.
create table inventory (
  environment    text not null,
  team           text not null,
  project        text not null,
  api_version    text not null,
  kind           text not null,
  namespace      text not null,
  name           text not null,
  uid            text not null,
  -- Digest of the object in manifests.yaml that was applied, secrets' versions included.
  desired_digest text not null,
  -- Digest of our fields in the live object right after that apply.
  owned_digest   text not null,
  applied_at     timestamptz not null default now(),
  primary key (environment, team, project, api_version, kind, namespace, name)
);

create table history (
  id          bigint generated always as identity primary key,
  environment text not null,
  team        text not null,
  project     text not null,
  revision    text,
  phase       text not null,
  health      text not null,
  message     text not null default '',
  at          timestamptz not null default now()
);
create index history_of_project on history (environment, team, project, id desc);

-- Operational state of a project that is not a commit; set by compare-and-set on version.
create table holds (
  environment text not null,
  team        text not null,
  project     text not null,
  hold        text not null check (hold in ('none', 'scale-zero', 'absent', 'detect')),
  reason      text not null,
  actor       text not null,
  until       timestamptz,
  version     bigint not null default 1,
  primary key (environment, team, project)
);

-- Deletions that wait for a person: the digest is of the list that was shown.
create table confirmations (
  environment  text not null,
  team         text not null,
  project      text not null,
  digest       text not null,
  objects      jsonb not null,
  -- The commit that removed the project, where a person deleted it by the API: until reconcile has seen that, the yes stands.
  revision     text,
  confirmed_by text,
  confirmed_at timestamptz,
  created_at   timestamptz not null default now(),
  primary key (environment, team, project)
);

-- Values are AES-256-GCM; the row's own address is the additional data, so a value cannot be moved to another row.
create table secret_values (
  scope       text not null,
  name        text not null,
  version     integer not null,
  key_id      text not null,
  nonce       bytea not null,
  ciphertext  bytea not null,
  generated   boolean not null default false,
  updated_by  text not null,
  updated_at  timestamptz not null default now(),
  primary key (scope, name)
);

create table tokens (
  id          text primary key,
  name        text not null,
  hash        bytea not null unique,
  user_id     text not null,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz,
  last_used_at timestamptz
);

-- The first administrator, once the password has been handed over.
create table administrator (
  singleton    boolean primary key default true check (singleton),
  user_id      text not null,
  -- Hash of AUTH_ADMIN_PASSWORD as it was when last taken over, to see that the setting changed; null: generated.
  setting_hash text
);
