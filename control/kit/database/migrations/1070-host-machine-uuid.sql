-- Whether another host says the same UUID is asked of each host that has a BMC, again and again.
create index host_machine_uuid on host ((facts ->> 'machineUuid'));
