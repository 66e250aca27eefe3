-- A rebuild makes a server's own disk anew. The generation that asked for it; 0: never. And the one that its disk is of.
alter table server
  add column desired_root_count bigint not null default 0,
  add column observed_root_count bigint not null default 0;
create or replace trigger server_change after insert or update or delete on server
  for each row execute function append_change('server', 'id', '~observed_step', '~observed_at', '=observed_generation',
    '=observed_state', '=observed_power', '=observed_reboot_count', '=observed_rescue_count', '=observed_root_count',
    '=observed_started_at', '=observed_error', '=launched_at');
