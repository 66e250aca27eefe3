-- The second copy of a volume whose type asks for a synchronous one: a layer on what its replica has, into which the volume's guest writes all that it writes, as long
-- as it runs (docs/decisions/0019-second-copy.md). Ids of layers are no references, as in 0940.
alter table volume_replica
  add column synchronous boolean not null default false,
  add column copy_state text check (copy_state in ('preparing', 'copying', 'in_sync', 'ended', 'kept')), -- null: there is none
  add column copy_layer_id uuid,      -- of the copy
  add column copy_of_layer_id uuid,   -- the volume's top whose writes go there
  add column copy_place jsonb,        -- {"address", "port"}: where its host takes them
  add column copy_since timestamptz,  -- it is in that state since then
  add column copy_as_of timestamptz,  -- of one that has ended: it has all that was written until then; null: that is not certain
  add column copy_ended_at timestamptz, -- the last one was given up then: what a round froze earlier is older than that
  add column copy_failures integer not null default 0, -- in a row
  add check ((copy_state is null) = (copy_layer_id is null)),
  add check (copy_state is distinct from 'in_sync' or copy_place is not null);
create index volume_replica_copy on volume_replica (copy_layer_id) where copy_layer_id is not null;

-- By which the two hosts know each other (TLS-PSK), in hex, 256 bits: no list and no log has it.
create table volume_replica_key (
  volume_id uuid primary key references volume_replica on delete cascade,
  key text not null
);

-- A copy is given up in the transaction that changes who writes to the volume, or what: whoever does that need not know of it. It is never taken up again.
create function end_second_copy(volume uuid) returns void language sql as $$
  update volume_replica set copy_state = 'ended', copy_as_of = case when copy_state = 'in_sync' and not exists (select from volume_attachment a join server s on s.id = a.server_id
      where a.volume_id = volume and a.observed_state is not null and s.observed_on_lease_end is null) then now() end, copy_since = now(), copy_ended_at = now(), next_at = now(), updated_at = now(), generation = generation + 1
  where volume_id = volume and copy_state in ('preparing', 'copying', 'in_sync')
$$;
create function volume_ends_copy() returns trigger language plpgsql as $$
begin
  perform end_second_copy(new.id);
  return null;
end
$$;
create trigger volume_ends_copy after update of layer_id, host_id, desired_task, desired_presence on volume for each row
  when ((old.layer_id, old.host_id, old.desired_task, old.desired_presence) is distinct from (new.layer_id, new.host_id, new.desired_task, new.desired_presence))
  execute function volume_ends_copy();
create function attachment_ends_copy() returns trigger language plpgsql as $$
begin
  perform end_second_copy(coalesce(new.volume_id, old.volume_id));
  return null;
end
$$;
create trigger attachment_ends_copy after insert or delete on volume_attachment for each row execute function attachment_ends_copy();
create trigger attachment_change_ends_copy after update of desired_presence, server_id, target_host_id, mode on volume_attachment for each row
  when ((old.desired_presence, old.server_id, old.target_host_id, old.mode) is distinct from (new.desired_presence, new.server_id, new.target_host_id, new.mode))
  execute function attachment_ends_copy();

drop trigger volume_replica_change on volume_replica;
create trigger volume_replica_change after insert or update or delete on volume_replica
  for each row execute function append_change('volume_replica', 'volume_id', '~next_at', '~updated_at', '~round_moved_at', '~round_copied_bytes',
    '=as_of', '=rounds', '=last_round_bytes', '=last_round_seconds', '=round_began_at', '=round_source_layer_id', '=round_layer_id', '=round_full',
    '=source_layer_id', '=layer_id', '=round_pool_id', '=round_moment', '=moment', '=copy_state', '=copy_as_of', '=copy_layer_id', '=copy_of_layer_id', '=copy_place', '=copy_since',
    '=copy_ended_at', '=copy_failures');
