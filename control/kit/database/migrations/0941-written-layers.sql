-- Whether anything was written to a layer since it was made, where control wants to know that (it is the top of a replicated volume): null: not known.
alter table volume_layer
  add column observed_written boolean,
  add column written_at timestamptz; -- when its host said so first
drop trigger volume_layer_change on volume_layer;
create trigger volume_layer_change after insert or update or delete on volume_layer
  for each row execute function append_change('volume_layer', 'id', '~observed_step', '~observed_at', '~observed_allocated_bytes',
    '~shorten_at', '=observed_epoch', '=observed_generation', '=observed_state', '=observed_size_bytes', '=observed_error',
    '=observed_captures', '=observed_backups', '=observed_export', '=observed_written', '=written_at');
