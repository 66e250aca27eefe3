-- Rows of several hosts are locked in one order by all who touch several (control/host/store.ts): no two wait for each other.
create or replace function aggregate_changed() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'aggregate_host' then
    update host set changed_in = pg_current_xact_id(), provider_generation = provider_generation + 1
      where id = case when tg_op = 'DELETE' then old.host_id else new.host_id end;
  else
    with ordered as materialized (
      select h.id from host h join aggregate_host x on x.host_id = h.id where x.aggregate_id = new.id order by h.id for no key update of h)
    update host h set changed_in = pg_current_xact_id() from ordered where h.id = ordered.id;
  end if;
  return null;
end
$$;
