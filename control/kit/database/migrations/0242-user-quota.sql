-- What one user may have of a project's share; beside it the project's own limit holds. Users are not referred to: Nova asks nobody
-- whether there is one.
create table user_quota (
  id uuid primary key,
  project_id uuid not null references project on delete cascade,
  user_id uuid not null,
  resource text not null,
  maximum bigint not null check (maximum >= -1), -- -1: no limit but the project's
  unique (project_id, user_id, resource)
);
create trigger user_quota_change after insert or update or delete on user_quota
  for each row execute function append_change('user_quota');
