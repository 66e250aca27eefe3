-- From when on a layer that nobody needs but the one that builds on it may be merged into that one; null: somebody else needs it. Only
-- release.ts and shorten.ts write it.
alter table volume_layer add column shorten_at timestamptz;
create index volume_layer_shorten on volume_layer (shorten_at) where shorten_at is not null;
drop trigger volume_layer_change on volume_layer;
create trigger volume_layer_change after insert or update or delete on volume_layer
  for each row execute function append_change('volume_layer', 'id', '~observed_step', '~observed_at', '~observed_allocated_bytes',
    '~shorten_at', '=observed_epoch', '=observed_generation', '=observed_state', '=observed_size_bytes', '=observed_error',
    '=observed_captures', '=observed_backups');
