-- The few ports of a network that are its routers' and the metadata service's, without reading its guests'.
create index port_network_owner on port (network_id, device_owner text_pattern_ops);
