-- Progress is no event: it would write a row every second for each guest that is being made. Columns that are named with a ~ are
-- progress: they are in a change's body, and alone make none.
--
-- Arguments: resource type; then optionally the column that names the resource, and columns left out of the body or, with ~,
-- of the comparison.
create or replace function append_change() returns trigger language plpgsql as $$
declare
  body jsonb;
  before jsonb;
  id_column text := coalesce(tg_argv[1], 'id');
  silent text[] := '{updated_at}';
  hidden text[] := '{}';
begin
  if tg_op = 'DELETE' then
    body := to_jsonb(old);
  else
    body := to_jsonb(new);
  end if;
  for i in 2 .. tg_nargs - 1 loop
    if left(tg_argv[i], 1) = '~' then
      silent := silent || substr(tg_argv[i], 2);
    else
      hidden := hidden || tg_argv[i];
    end if;
  end loop;
  if tg_op = 'UPDATE' then
    before := to_jsonb(old);
    if before - silent = body - silent then
      return null;
    end if;
  end if;
  if tg_nargs > 2 then
    body := body - hidden;
  end if;
  insert into change (resource_type, resource_id, action, project_id, generation, actor_id, request_id, body)
  values (
    tg_argv[0],
    (body ->> id_column)::uuid,
    case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
    case when tg_argv[0] = 'project' then (body ->> 'id')::uuid else (body ->> 'project_id')::uuid end,
    (body ->> 'generation')::bigint,
    nullif(current_setting('bothy.actor', true), '')::uuid,
    nullif(current_setting('bothy.request', true), ''),
    body
  );
  perform pg_notify('bothy_change', '');
  return null;
end
$$;
drop trigger server_change on server;
create trigger server_change after insert or update or delete on server
  for each row execute function append_change('server', 'id', '~observed_step', '~observed_at');
