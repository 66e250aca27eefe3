-- Whoever deletes a host looks for ports on their way to it; few are on any.
create index port_migrating_to on port (migrating_to) where migrating_to is not null;
