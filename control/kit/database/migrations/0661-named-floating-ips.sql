-- What the resolvers of a project's networks are told, without a look at the floating IPs that have no name.
create index if not exists floating_ip_named on floating_ip (project_id, id) where dns_name <> '';
