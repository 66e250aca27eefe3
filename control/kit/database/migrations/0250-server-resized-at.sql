-- Since when a resize waits to be confirmed; null: none does. The controller looks for those that have waited for too long.
alter table server add column resized_at timestamptz;
create index server_resized on server (resized_at) where resized_at is not null;
create or replace trigger server_change after insert or update or delete on server
  for each row execute function append_change('server', 'id', '~observed_step', '~observed_at', '=observed_generation',
    '=observed_state', '=observed_power', '=observed_reboot_count', '=observed_rescue_count', '=observed_root_count',
    '=observed_resize_count', '=observed_started_at', '=observed_error', '=launched_at', '=resized_at');
