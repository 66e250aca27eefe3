-- The network that a project was given without asking for its parts. What it consists of are networks, subnets and routers like others.
create table auto_allocated_topology (
  project_id uuid primary key references project on delete cascade,
  network_id uuid not null unique references network on delete cascade,
  router_id uuid unique references router on delete set null
);
