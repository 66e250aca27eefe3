-- {"image_id", "state", "power", "offload_after", "offload_at", "image", "offloaded"}: a shelved server; its disk is that image, and as soon
-- as it is offloaded nothing else. And {"image_id", "image"}: what its disk is made of where that is no longer the image that it was made
-- from: it was unshelved.
alter table server
  add column desired_shelve jsonb,
  add column desired_root jsonb;
create index server_shelved on server (id) where desired_shelve is not null;
