create index floating_ip_floating_port on floating_ip (floating_port_id);
