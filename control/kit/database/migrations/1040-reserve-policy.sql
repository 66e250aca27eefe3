-- What loss the cloud keeps room for, as administrators say it: none, that of any one host, or that of any one host or failure domain. One row.
create table reserve_policy (
  id uuid primary key default '00000000-0000-7000-8000-000000000001' check (id = '00000000-0000-7000-8000-000000000001'),
  survive text not null default 'none' check (survive in ('none', 'host', 'domain')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
insert into reserve_policy default values;
create trigger reserve_policy_change after insert or update or delete on reserve_policy
  for each row execute function append_change('reserve_policy');
