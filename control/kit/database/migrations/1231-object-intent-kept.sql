-- What was open when a dump was made may hold objects that were acknowledged after it: in another incarnation of the database nobody looks there for
-- what no row names. It is read and emptied as any other, never written under and never swept.
alter table object_intent drop constraint object_intent_state_check,
  add constraint object_intent_state_check check (state in ('open', 'closed', 'kept'));
create function keep_open_object_intents() returns trigger language plpgsql as $$
begin
  update object_intent set state = 'kept' where state = 'open';
  return null;
end $$;
create trigger cloud_object_intents after update of incarnation on cloud
  for each row when (old.incarnation is distinct from new.incarnation) execute function keep_open_object_intents();
