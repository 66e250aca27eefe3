-- What the host of a second copy says of where it takes writes, and that of the volume of how they get there (contract/host/layer.ts, server.ts).
alter table volume_layer add column observed_receiver jsonb; -- {"address", "port"}; null: it takes none
alter table volume_attachment
  add column observed_copy_id uuid,
  add column observed_copy jsonb; -- {"state", "error"}

drop trigger volume_layer_change on volume_layer;
create trigger volume_layer_change after insert or update or delete on volume_layer
  for each row execute function append_change('volume_layer', 'id', '~observed_step', '~observed_at', '~observed_allocated_bytes',
    '~shorten_at', '=observed_epoch', '=observed_generation', '=observed_state', '=observed_size_bytes', '=observed_error',
    '=observed_captures', '=observed_backups', '=observed_export', '=observed_written', '=written_at', '=observed_receiver');
drop trigger volume_attachment_change on volume_attachment;
create trigger volume_attachment_change after insert or update or delete on volume_attachment
  for each row execute function append_change('volume_attachment', 'id', '=observed_state', '=observed_layer_id',
    '=observed_size_bytes', '=observed_full', '=attached_at', '=observed_copy_id', '=observed_copy');
