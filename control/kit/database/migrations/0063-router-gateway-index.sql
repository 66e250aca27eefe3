create index router_gateway_network on router (gateway_network_id, id) where gateway_network_id is not null;
