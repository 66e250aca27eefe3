-- Copies of images that are being made: written before the first byte, gone when the host holds the image or nothing of it.
create table image_copy (
  image_id uuid not null references image on delete cascade,
  host_id uuid not null references host,
  copy_id uuid not null,
  deadline timestamptz not null,
  primary key (image_id, host_id)
);
create index image_copy_host on image_copy (host_id);
