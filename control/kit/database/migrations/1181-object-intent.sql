-- The right of one control process to write blobs until its deadline. Whoever makes an object visible holds the row `for share` and finds it open; so of a
-- closed one nothing becomes visible any more, and what no row names by then is nobody's.
create table object_intent (
  id uuid primary key,
  holder text not null,
  deadline timestamptz not null,
  state text not null default 'open' check (state in ('open', 'closed')),
  created_at timestamptz not null default now()
);
create index object_intent_open on object_intent (deadline) where state = 'open';

-- Where there may be bytes of it: before the first byte, until its directory is gone.
create table object_intent_disk (
  intent_id uuid not null references object_intent,
  disk_id uuid not null references object_disk,
  dead_bytes bigint not null default 0, -- of records that were removed since it was last looked at
  look_at timestamptz not null default now(),
  primary key (intent_id, disk_id)
);
create index object_intent_disk_look on object_intent_disk (look_at);
