-- Volumes with a cache, by where it is, for the sweep and for whoever removes a pool: most have none.
create index volume_cache_pool on volume (cache_pool_id) where cache_pool_id is not null;
