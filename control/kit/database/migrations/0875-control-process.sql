-- Which control processes there are (control/kit/control-process). No resource of anybody: it writes no change, and who is silent for a day is forgotten.
create table control_process (
  id uuid primary key,
  machine text not null,
  url text not null,
  version text not null,
  started_at timestamptz not null,
  seen_at timestamptz not null
);
