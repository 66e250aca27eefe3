-- Imports, as their requesters see them. One of an image at a time.
create table image_task (
  id uuid primary key,
  image_id uuid not null references image on delete cascade,
  project_id uuid not null,
  user_id text not null,
  request_id text not null,
  input jsonb not null,
  status text not null default 'pending' check (status in ('pending', 'processing', 'success', 'failure')),
  message text not null default '',
  attempts integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ended_at timestamptz
);
create unique index image_task_unfinished on image_task (image_id) where ended_at is null;
create index image_task_image on image_task (image_id, id);
create index image_task_ended on image_task (ended_at) where ended_at is not null;
