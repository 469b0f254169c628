-- Identity providers that were added by the API. Client secrets and private keys are in the secrets store.
create table identity_providers (
  id         text primary key,
  -- Part of the callback's address; people may have registered it at the provider.
  name       text not null,
  -- As contract/identity.ts has it.
  config     jsonb not null,
  updated_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index identity_providers_name on identity_providers (lower(name));

-- Which account of a provider is which person. `provider` is an id, never a name: a provider made anew under an old
-- name is another one.
create table identity_links (
  provider         text not null,
  -- What the provider calls the account for ever: `sub`, the number at GitHub, the NameID.
  subject          text not null,
  user_id          text not null,
  created_at       timestamptz not null default now(),
  used_at          timestamptz not null default now(),
  -- When an administrator last came in this way; null: never.
  administrator_at timestamptz,
  primary key (provider, subject),
  unique (provider, user_id)
);
create index identity_links_of_user on identity_links (user_id);

-- Sign-ins under way. Only digests: who reads this table can finish none of them.
create table identity_flows (
  state_hash   bytea primary key,
  browser_hash bytea not null,
  provider     text not null,
  next         text not null,
  -- SAML: the id of our request, and what its answer said, until the browser has shown its cookie.
  request_id   text,
  answer       jsonb,
  expires_at   timestamptz not null
);
create index identity_flows_end on identity_flows (expires_at);
create index identity_flows_browser on identity_flows (browser_hash);

-- SAML assertions that were taken, until they would have expired by themselves.
create table identity_assertions (
  provider   text not null,
  id         text not null,
  expires_at timestamptz not null,
  primary key (provider, id)
);
create index identity_assertions_end on identity_assertions (expires_at);
