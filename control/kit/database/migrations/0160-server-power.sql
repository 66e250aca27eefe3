-- A server may be paused (QEMU holds its processors) or suspended (its memory is a file, and no QEMU runs), run from a rescue
-- image, and lie deleted but not yet reclaimed.
alter table server
  drop constraint server_desired_power_check,
  add constraint server_desired_power_check check (desired_power in ('on', 'off', 'paused', 'suspended')),
  drop constraint server_observed_power_check,
  add constraint server_observed_power_check check (observed_power in ('on', 'off', 'paused', 'suspended')),
  drop constraint server_observed_state_check,
  add constraint server_observed_state_check check (observed_state in
    ('none', 'building', 'running', 'stopped', 'paused', 'suspended', 'absent', 'failed')),
  -- the verb that made the present generation; says nothing that the other columns do not, but what people call it
  add column desired_verb text not null default 'create',
  -- {"count", "image_id", "image"}: from what it boots instead of its own disk; count: the generation that asked for it
  add column desired_rescue jsonb,
  -- the count of the rescue that it runs from; 0: its own disk
  add column observed_rescue_count bigint not null default 0,
  -- since when it waits to be reclaimed
  add column soft_deleted_at timestamptz;
