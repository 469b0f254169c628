-- What was last told of each project (see reconcile/tellings.ts): what is told next is the difference to it.
create table announced (
  environment text not null,
  team        text not null,
  project     text not null,
  told        jsonb not null,
  -- updated_at of the status that was looked at; another one there has not been looked at yet.
  looked      timestamptz,
  -- What waits for a quiet time to be over is looked at again then; null: nothing waits.
  due_at      timestamptz,
  primary key (environment, team, project)
);
create index announced_due on announced (due_at) where due_at is not null;
-- Nothing is told of what stood before there were tellings.
insert into announced (environment, team, project, told)
select environment, team, project, '{"silent": true}' from project_status;

-- Notifications on their way. What was taken is gone from here; what was given up stays for a while, to be seen.
create table deliveries (
  id          text primary key,
  -- Digest of environment and door: what limits are counted for.
  target      text not null,
  environment text not null,
  -- Where it goes: names of secrets or mail addresses, never an address of HTTP itself.
  door        jsonb not null,
  -- The JSON that is sent, byte for byte the same each time; null: it sums up what was held back, when it is due.
  message     text,
  attempts    integer not null default 0,
  -- Whoever sends it moves this ahead, so that nobody else does at the same time.
  due_at      timestamptz not null default now(),
  end_at      timestamptz not null,
  -- Given up, and why; null: it is still tried.
  dead_at     timestamptz,
  -- What was wrong the last time.
  reason      text not null default '',
  created_at  timestamptz not null default now()
);
create index deliveries_due on deliveries (due_at) where dead_at is null;
create index deliveries_dead on deliveries (dead_at) where dead_at is not null;

-- How many went to each target within its hour, and what is held back to be summed up.
create table delivery_targets (
  target text primary key,
  since  timestamptz not null default now(),
  told   integer not null default 0,
  held   jsonb
);
