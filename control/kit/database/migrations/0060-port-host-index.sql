create index port_host on port (host_id, network_id) where host_id is not null;
