-- The few networks that every project may see, so that a project's list need not read all others'.
create index network_open on network (id) where shared or external;
