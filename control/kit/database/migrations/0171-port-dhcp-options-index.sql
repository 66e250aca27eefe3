-- The few ports of a network whose DHCP answers are their own: they follow the network's, without a look at all others.
create index port_dhcp_options on port (network_id) where extra_dhcp_opts <> '[]';
