-- {"count", "state": "kept" or "reverted", "before"}: the last resize that is neither confirmed nor forgotten; count: the generation that
-- asked for it; before: flavor and sizes that a revert brings back. And the resize before which its host keeps the disk; 0: none.
alter table server
  add column desired_resize jsonb,
  add column observed_resize_count bigint not null default 0;
create or replace trigger server_change after insert or update or delete on server
  for each row execute function append_change('server', 'id', '~observed_step', '~observed_at', '=observed_generation',
    '=observed_state', '=observed_power', '=observed_reboot_count', '=observed_rescue_count', '=observed_root_count',
    '=observed_resize_count', '=observed_started_at', '=observed_error', '=launched_at');
