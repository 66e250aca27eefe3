-- Who of several control processes does what only one may do (control/kit/leadership). The database's clock decides; each gain has an
-- epoch of its own, so that what an earlier holder writes too late can be told. No trigger: a renewal is no event.
create table lease (
  role text primary key,                      -- 'network projection' …
  holder uuid not null,                       -- a process, anew at each start
  epoch bigint not null,
  expires_at timestamptz not null
);
