-- Of a router with several gateways: the default routes of all of them count, and each connection takes one.
alter table router add column default_route_ecmp boolean not null default false;
