-- Columns that are named with a = are observations: a change of nothing else is marked as such. Else as in 0024.
--
-- Arguments: resource type; then optionally the column that names the resource, and columns left out of the body or, with ~, of the
-- comparison, or, with =, observations.
create or replace function append_change() returns trigger language plpgsql as $$
declare
  body jsonb;
  before jsonb;
  id_column text := coalesce(tg_argv[1], 'id');
  silent text[] := '{updated_at}';
  hidden text[] := '{}';
  observed text[] := '{}';
  observed_only boolean := false;
begin
  if tg_op = 'DELETE' then
    body := to_jsonb(old);
  else
    body := to_jsonb(new);
  end if;
  for i in 2 .. tg_nargs - 1 loop
    case left(tg_argv[i], 1)
      when '~' then silent := silent || substr(tg_argv[i], 2);
      when '=' then observed := observed || substr(tg_argv[i], 2);
      else hidden := hidden || tg_argv[i];
    end case;
  end loop;
  if tg_op = 'UPDATE' then
    before := to_jsonb(old) - silent;
    if before = body - silent then
      return null;
    end if;
    observed_only := cardinality(observed) > 0 and before - observed = body - silent - observed;
  end if;
  if cardinality(hidden) > 0 then
    body := body - hidden;
  end if;
  insert into change (resource_type, resource_id, action, project_id, generation, actor_id, request_id, body, observed_only)
  values (
    tg_argv[0],
    (body ->> id_column)::uuid,
    case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
    case when tg_argv[0] = 'project' then (body ->> 'id')::uuid else (body ->> 'project_id')::uuid end,
    (body ->> 'generation')::bigint,
    nullif(current_setting('bothy.actor', true), '')::uuid,
    nullif(current_setting('bothy.request', true), ''),
    body,
    observed_only
  );
  perform pg_notify('bothy_change', '');
  return null;
end
$$;
