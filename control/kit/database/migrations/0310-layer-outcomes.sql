-- What hosts made of what was wanted of a layer's content, until whoever wanted it has taken note; and the layer that its file still builds
-- on while the host makes it build on another.
alter table volume_layer
  add column former_parent_id uuid references volume_layer,
  add column observed_captures jsonb not null default '[]', -- [{"image_id", "result", "error"}]
  add column observed_backups jsonb not null default '[]';  -- [{"id", "result", "error"}]
create index volume_layer_former_parent on volume_layer (former_parent_id) where former_parent_id is not null;
drop trigger volume_layer_change on volume_layer;
create trigger volume_layer_change after insert or update or delete on volume_layer
  for each row execute function append_change('volume_layer', 'id', '~observed_step', '~observed_at', '~observed_allocated_bytes',
    '=observed_epoch', '=observed_generation', '=observed_state', '=observed_size_bytes', '=observed_error', '=observed_captures',
    '=observed_backups');
