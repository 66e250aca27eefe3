-- Replicas of volumes that one server has are brought up to date by rounds of one moment: frozen together, and whole together.
alter table volume_replica
  add column round_moment uuid, -- of the round that is under way: others that say the same were frozen with it; null: it is alone
  add column moment uuid;       -- of the last complete round
create index volume_replica_round_moment on volume_replica (round_moment) where round_moment is not null;

drop trigger volume_replica_change on volume_replica;
create trigger volume_replica_change after insert or update or delete on volume_replica
  for each row execute function append_change('volume_replica', 'volume_id', '~next_at', '~updated_at', '~round_moved_at', '~round_copied_bytes',
    '=as_of', '=rounds', '=last_round_bytes', '=last_round_seconds', '=round_began_at', '=round_source_layer_id', '=round_layer_id', '=round_full',
    '=source_layer_id', '=layer_id', '=round_pool_id', '=round_moment', '=moment');
