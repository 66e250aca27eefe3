-- Why the cloud itself moves a server; null: a person asked for it. What it moved cold is confirmed by the cloud, too.
alter table server_migration add column cause text check (cause in ('maintenance', 'rebalance'));
create index server_migration_caused on server_migration (host_id) where cause is not null and phase <> 'ended';
