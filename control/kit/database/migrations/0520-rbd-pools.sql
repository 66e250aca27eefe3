-- Pools may be of a Ceph cluster.
alter table storage_pool drop constraint if exists storage_pool_kind_check;
alter table storage_pool add constraint storage_pool_kind_check
  check (kind in ('directory', 'file-system', 'block-device', 'rbd'));
