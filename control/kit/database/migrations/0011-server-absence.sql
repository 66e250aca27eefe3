-- What a host may still have of a server that is not its own any more (deleted without its word, or given to another): the host is
-- told until it has said that nothing is left. A host erases only what a row here, or the server's own, says is absent.
create table server_absence (
  host_id uuid not null references host on delete cascade,
  server_id uuid not null,
  epoch bigint not null,                      -- the last under which the server was the host's
  generation bigint not null,
  created_at timestamptz not null default now(),
  primary key (host_id, server_id)
);
create index server_absence_server on server_absence (server_id);
create trigger server_absence_change after insert or update on server_absence
  for each row execute function append_change('server_absence', 'server_id');

-- By trigger, so that there is no way to take a server from a host that leaves the host without a word.
create function note_absence() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' then
    if old.host_id is not null and not (tg_op = 'DELETE' and old.desired_presence = 'absent' and old.observed_state = 'absent') then
      insert into server_absence (host_id, server_id, epoch, generation)
      values (old.host_id, old.id, old.epoch, old.generation)
      on conflict (host_id, server_id) do update set epoch = excluded.epoch, generation = excluded.generation;
    end if;
  end if;
  if tg_op <> 'DELETE' then
    delete from server_absence where host_id = new.host_id and server_id = new.id;
  end if;
  return null;
end
$$;
create trigger server_left after delete on server for each row execute function note_absence();
create trigger server_moved after update of host_id on server for each row
  when (old.host_id is distinct from new.host_id) execute function note_absence();
create trigger server_placed after insert on server for each row
  when (new.host_id is not null) execute function note_absence();
