-- What a project says must or must never get from one end to another, whoever changes its network.
create table reachability_assertion (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  kind text not null check (kind in ('must', 'never')),
  -- Ids of ports or servers, or addresses, in canonical text.
  source text not null,
  destination text not null,
  ip_version integer check (ip_version in (4, 6)),
  protocol integer not null,
  port integer,
  on_violation text not null default 'refuse' check (on_violation in ('refuse', 'alarm')),
  state text not null check (state in ('holds', 'violated', 'unknown')),
  state_since timestamptz not null default now(),
  -- What was found where it is not 'holds'.
  finding jsonb,
  -- Networks, routers and groups that it was decided by.
  ground uuid[] not null default '{}',
  -- Only within a transaction that changes its project's network.
  undecided boolean not null default false,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index reachability_assertion_project on reachability_assertion (project_id, id);
create index reachability_assertion_ground on reachability_assertion using gin (ground);
create index reachability_assertion_undecided on reachability_assertion (id) where undecided;
create trigger reachability_assertion_change after insert or update or delete on reachability_assertion
  for each row execute function append_change('reachability_assertion', 'id', 'ground', 'undecided', '~ground', '~undecided');

insert into quota (id, resource, maximum) values (gen_random_uuid(), 'reachability_assertions', 100);

-- A change that somebody asked for leaves what it may break undecided; what the cloud does by itself is decided afterwards, for it may not
-- fail. One that is violated already refuses nothing: it must be possible to mend it in steps.
create function undecide_reachability() returns trigger language plpgsql as $$
begin
  if coalesce(current_setting('bothy.actor', true), '') <> '' then
    update reachability_assertion set undecided = true
      where project_id = coalesce(new.project_id, old.project_id) and on_violation = 'refuse' and state = 'holds' and not undecided;
  end if;
  return null;
end
$$;

-- The class BY is our own: control/kit/database/database.ts runs the transaction again and decides before its commit.
create function require_reachability_decided() returns trigger language plpgsql as $$
begin
  if exists (select from reachability_assertion where id = new.id and undecided) then
    raise exception 'reachability assertion % is undecided', new.id using errcode = 'BY001';
  end if;
  return null;
end
$$;
create constraint trigger reachability_assertion_decided after update on reachability_assertion
  deferrable initially deferred for each row when (new.undecided) execute function require_reachability_decided();

-- Of addresses and groups of a port its own row tells: whoever changes them makes a generation of it.
do $$
declare
  noun text;
begin
  foreach noun in array array['network', 'subnet', 'subnet_pool', 'port', 'router', 'floating_ip', 'security_group', 'address_group'] loop
    execute format('create trigger %I after insert or delete on %I for each row execute function undecide_reachability()',
      noun || '_undecides', noun);
    execute format('create trigger %I after update on %I for each row when (old.generation is distinct from new.generation)
      execute function undecide_reachability()', noun || '_update_undecides', noun);
  end loop;
end
$$;
create trigger security_group_rule_undecides after insert or delete on security_group_rule
  for each row execute function undecide_reachability();
