-- Projects and users that are gone: what the history still says of them goes too, see control/kit/history/forget.ts.
create table forgotten (
  id uuid primary key,
  kind text not null check (kind in ('project', 'user')),
  deleted_at timestamptz not null default now()
);
create function note_forgotten() returns trigger language plpgsql as $$
begin
  insert into forgotten (id, kind) values (old.id, tg_argv[0]) on conflict (id) do nothing;
  return null;
end
$$;
create trigger project_forgotten after delete on project for each row execute function note_forgotten('project');
create trigger user_forgotten after delete on "user" for each row execute function note_forgotten('user');
