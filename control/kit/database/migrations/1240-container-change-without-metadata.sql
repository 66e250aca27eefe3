-- The keys that links are signed with are metadata of a container; the change log has no secrets.
drop trigger container_change on container;
create trigger container_change after insert or update or delete on container
  for each row execute function append_change('container', 'id', 'metadata');
