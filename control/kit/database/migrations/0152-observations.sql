-- What reports write of servers and ports.
drop trigger if exists server_change on server;
create trigger server_change after insert or update or delete on server
  for each row execute function append_change('server', 'id', '~observed_step', '~observed_at', '=observed_generation',
    '=observed_state', '=observed_power', '=observed_reboot_count', '=observed_rescue_count', '=observed_started_at',
    '=observed_error', '=launched_at');
drop trigger if exists port_change on port;
create trigger port_change after insert or update or delete on port
  for each row execute function append_change('port', 'id', '=observed_up');
