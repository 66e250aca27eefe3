-- The roles of whoever made a server, as they were then: services of vendor data are told (Nova's boot-roles). Null: not known.
alter table server add column boot_roles text[];
