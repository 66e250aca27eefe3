-- Who changed the network of a project with assertions that refuse held rows of that network first and those of the assertions then, and the
-- next one likewise: of a few at once most waited for each other in circles. So who finds that it has to be decided what is done lets go of everything
-- at once, and is run again with the project held from the beginning (control/kit/database/database.ts).
create or replace function undecide_reachability() returns trigger language plpgsql as $$
declare
  project uuid := coalesce(new.project_id, old.project_id);
begin
  if coalesce(current_setting('bothy.actor', true), '') = '' or not exists (
    select from reachability_assertion where project_id = project and on_violation = 'refuse' and state = 'holds') then
    return null;
  end if;
  if position(project::text in coalesce(current_setting('bothy.deciding', true), '')) = 0 then
    raise exception 'reachability assertions of project % are to be decided', project using errcode = 'BY001', detail = project::text;
  end if;
  update reachability_assertion set undecided = true
    where project_id = project and on_violation = 'refuse' and state = 'holds' and not undecided;
  return null;
end
$$;
