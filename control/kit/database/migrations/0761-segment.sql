-- Segments: what carries a network. Each network has one at least; the network's own provider columns are those of its first.
create table segment (
  id uuid primary key,
  network_id uuid not null references network on delete cascade,
  -- Their order on the network.
  position integer not null,
  name text,
  description text not null default '',
  network_type text not null,
  physical_network text,
  segmentation_id integer,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (network_id, position)
);
create index segment_carried on segment (segmentation_id, physical_network);
create trigger segment_change after insert or update or delete on segment
  for each row execute function append_change('segment');

create function make_first_segment() returns trigger language plpgsql as $$
begin
  insert into segment (id, network_id, position, network_type, physical_network, segmentation_id)
  values (gen_random_uuid(), new.id, 0, new.provider_network_type, new.provider_physical_network, new.provider_segmentation_id);
  return null;
end
$$;
create trigger network_first_segment after insert on network
  for each row execute function make_first_segment();
