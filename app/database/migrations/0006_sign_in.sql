-- Failures to sign in, and everything else that must not be tried without end. Counted before the try, so that many at
-- once cannot slip through; in the database, so that neither a restart nor another replica forgets. The key is a digest:
-- what people type into the wrong field is nobody's business.
create table sign_in_attempts (
  key     bytea primary key,
  count   integer not null,
  ends_at timestamptz not null
);
create index sign_in_attempts_ended on sign_in_attempts (ends_at);

-- Addresses (a digest with the account) from which somebody signed in to an account before: a stranger's guesses do not
-- lock the owner out there.
create table sign_in_known (
  key     bytea primary key,
  seen_at timestamptz not null
);

-- What somebody without a session asked for by e-mail address. Written alike for addresses with and without an account;
-- which it is, is looked up later, when nobody waits for an answer.
create table link_wishes (
  number        bigint generated always as identity primary key,
  kind          text not null check (kind in ('reset', 'register')),
  email         text not null,
  -- register: what the person gave.
  name          text,
  password_hash text,
  created_at    timestamptz not null
);

-- Links that were mailed. Only a digest of the token is kept; opening one deletes it.
create table mailed_links (
  hash          bytea primary key,
  kind          text not null check (kind in ('reset', 'register')),
  email         text not null,
  -- reset: whose password.
  user_id       text,
  -- register: the account to be.
  name          text,
  password_hash text,
  expires_at    timestamptz not null
);
create index mailed_links_of_user on mailed_links (user_id);

-- An authenticator app. The secret is encrypted and bound to the person; unconfirmed it counts for nothing.
create table totp (
  user_id      text primary key,
  secret       bytea not null,
  confirmed_at timestamptz,
  -- Number of the last time step of which a code was taken: each works once.
  last_step    bigint not null default 0,
  created_at   timestamptz not null
);

-- Keyed digests; taking one deletes it.
create table backup_codes (
  user_id text not null,
  hash    bytea not null,
  primary key (user_id, hash)
);

-- The newest mailed code of a person.
create table mail_codes (
  user_id    text primary key,
  hash       bytea not null,
  tries      integer not null default 0,
  expires_at timestamptz not null
);
