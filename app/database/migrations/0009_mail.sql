-- Mails on their way to the mail server. What is sent, or can be sent no more, is gone from here.
create table mail (
  id         text primary key,
  -- Who it is to, what it says: AES-256-GCM, bound to the id.
  nonce      bytea not null,
  ciphertext bytea not null,
  attempts   integer not null default 0,
  -- Whoever sends it moves this ahead, so that nobody else does at the same time.
  due_at     timestamptz not null default now(),
  useless_at timestamptz not null
);
create index mail_due on mail (due_at);
