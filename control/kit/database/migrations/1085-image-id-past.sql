-- Who makes an image may choose its id. One that an image has had is nobody's again: servers, volumes and people's scripts name it, and
-- would get another owner's bytes (CVE-2022-4134 of OpenStack, where it took a purge of old rows).
create table image_id_past (id uuid primary key);

create function remember_image_id() returns trigger language plpgsql as $$
begin
  insert into image_id_past (id) values (old.id) on conflict do nothing;
  return null;
end $$;
create trigger image_id_past after delete on image for each row execute function remember_image_id();
