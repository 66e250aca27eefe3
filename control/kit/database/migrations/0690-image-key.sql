-- Images of encrypted volumes are encrypted, each with a key of its own, which goes with the image.
alter table image add column key_id uuid references volume_key; -- its file is encrypted with it; null: it is in the clear
create index image_key on image (key_id) where key_id is not null;

create or replace function drop_volume_key() returns trigger language plpgsql as $$
begin
  -- Of two that let go of it at once the second waits, and sees what the first did.
  perform from volume_key where id = old.key_id for update;
  delete from volume_key k where k.id = old.key_id and not exists (select from volume_layer l where l.key_id = k.id)
    and not exists (select from backup b where b.key_id = k.id) and not exists (select from image i where i.key_id = k.id);
  return null;
end $$;
create trigger image_key_drop after delete on image
  for each row when (old.key_id is not null) execute function drop_volume_key();
