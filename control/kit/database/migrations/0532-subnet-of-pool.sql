alter table subnet add column subnet_pool_id uuid references subnet_pool;
create index subnet_subnet_pool on subnet (subnet_pool_id) where subnet_pool_id is not null;
