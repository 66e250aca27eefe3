-- All layers of a pool, also those that shall go: who shows or removes a pool counts them.
drop index volume_layer_pool;
create index volume_layer_pool on volume_layer (pool_id);
