-- Whether a cache holds what a guest wrote (write-back) or only what it read (write-through), see control/storage/cache/README.md.
alter table volume add column cache_policy text check (cache_policy in ('write-back', 'write-through'));
update volume set cache_policy = 'write-back' where cache_pool_id is not null;
alter table volume add constraint volume_cache_policy_whole check ((cache_policy is null) = (cache_pool_id is null));
