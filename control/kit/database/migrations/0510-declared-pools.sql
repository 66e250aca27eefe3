-- A pool that administrators declare by API, beside those that its host's settings name: where it lies, and what its host is told of it.
alter table storage_pool
  add column declared boolean not null default false,
  add column source text,
  add column iops_per_volume integer check (iops_per_volume > 0),
  add constraint storage_pool_declared_has_source check (declared = (source is not null));
