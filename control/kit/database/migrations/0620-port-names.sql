-- What the resolvers of a network are told, without a look at the ports that have no name.
create index if not exists port_named on port (network_id, id) where dns_name <> '';
