-- How far the round of a replica that is under way has come: one that comes no further is thrown away, and its turn is another's.
alter table volume_replica
  add column round_moved_at timestamptz,               -- when it was seen to have come further; null: not yet
  add column round_copied_bytes bigint not null default 0; -- as far as it had come then

-- How far it is is no event.
drop trigger volume_replica_change on volume_replica;
create trigger volume_replica_change after insert or update or delete on volume_replica
  for each row execute function append_change('volume_replica', 'volume_id', '~next_at', '~updated_at', '~round_moved_at', '~round_copied_bytes',
    '=as_of', '=rounds', '=last_round_bytes', '=last_round_seconds', '=round_began_at', '=round_source_layer_id', '=round_layer_id', '=round_full',
    '=source_layer_id', '=layer_id');
