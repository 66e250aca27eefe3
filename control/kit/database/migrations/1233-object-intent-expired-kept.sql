-- A database that was copied back is told from its own history only when a host says so: what control closed at its start, because it had run out, is left
-- alone for a quarter of an hour (control/object/intents.ts), and stays so from then on.
create or replace function keep_open_object_intents() returns trigger language plpgsql as $$
begin
  update object_intent i set state = 'kept' where state = 'open' or (state = 'closed'
    and exists (select from object_intent_disk d where d.intent_id = i.id and d.look_at > now() and d.look_at < 'infinity'));
  return null;
end $$;
