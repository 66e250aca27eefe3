-- The sweep asks how many layers of its cache a volume has (control/storage/cache/store.ts).
create index volume_layer_cache on volume_layer (volume_id) where cache_role is not null;
