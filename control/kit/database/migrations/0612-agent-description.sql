-- What administrators note of a host's part in the network (Neutron's agent).
alter table host add column agent_description text not null default '';
