-- A port is on one server at most: emptying its device_id must not let a second server take it.
delete from server_port later using server_port first
where later.port_id = first.port_id and later.server_id > first.server_id;

drop index server_port_port;

alter table server_port add constraint server_port_port_id_key unique (port_id);
