-- The keys that secret values are encrypted with, each encrypted itself with a key that is in no database.
create table secret_keys (
  id         text primary key,
  -- values: encrypts secret_values; digests: keys digests of values that are stored, and is never another.
  purpose    text not null default 'values' check (purpose in ('values', 'digests')),
  -- Id of the key-encryption key that opens it; the id is part of what is authenticated.
  wrapped_by text not null,
  nonce      bytea not null,
  wrapped    bytea not null,
  created_at timestamptz not null default now(),
  -- Since then nothing new is encrypted with it. It goes when no value names it any more.
  retired_at timestamptz
);
create unique index secret_keys_current on secret_keys (purpose) where retired_at is null;

-- A value is either here, encrypted, or in Vault, where only its place is here.
alter table secret_values alter column key_id drop not null;
alter table secret_values alter column nonce drop not null;
alter table secret_values alter column ciphertext drop not null;
-- Path as Vault's API has it (secret/data/shop in KV v2), and the field of the secret there.
alter table secret_values add column vault_path text;
alter table secret_values add column vault_key text;
-- True: Plinth wrote it and takes it away with the secret; false: a person's, only read.
alter table secret_values add column vault_managed boolean not null default false;
-- What Vault said of the value when it got its present version: another text, another value, another version.
alter table secret_values add column vault_seen text;
alter table secret_values add constraint secret_values_place check (
  (key_id is null) = (ciphertext is null) and (key_id is null) = (nonce is null)
  and (key_id is null) <> (vault_path is null) and (vault_path is null) = (vault_key is null));

-- No key goes while a value names it. Not valid for what is there: the values of before name the key in the file
-- `secret-key`, which comes into the table at the first start after this.
alter table secret_values
  add constraint secret_values_key foreign key (key_id) references secret_keys (id) not valid;
create index secret_values_by_key on secret_values (key_id);
create index secret_values_in_vault on secret_values (vault_path) where vault_path is not null;

-- The folder of Vault that a team's references must stay below.
create table team_vault_folders (
  team       text primary key,
  path       text not null,
  updated_by text not null,
  updated_at timestamptz not null default now()
);
