-- Keys of encrypted volumes. A key is made when a host first asks for it, and goes with the last layer that needs it.
create table volume_key (
  id uuid primary key,                        -- clients know it as encryption_key_id; it is no secret
  cipher text not null check (cipher in ('aes-xts-plain64')),
  key_size_bits integer not null check (key_size_bits in (256, 512)),
  sealed bytea,                               -- the passphrase of its LUKS headers, under a key that is not in the database; null: not made yet
  created_at timestamptz not null default now()
);
alter table volume_layer add column key_id uuid references volume_key; -- null: the file is in the clear
create index volume_layer_key on volume_layer (key_id) where key_id is not null;

create function drop_volume_key() returns trigger language plpgsql as $$
begin
  delete from volume_key k where k.id = old.key_id and not exists (select from volume_layer l where l.key_id = k.id);
  return null;
end $$;
create trigger volume_layer_key_drop after delete on volume_layer
  for each row when (old.key_id is not null) execute function drop_volume_key();
