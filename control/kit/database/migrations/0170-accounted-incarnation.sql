-- What an incarnation of the database did not account for has been decided on, by `bothy recover`.
create table accounted_incarnation (
  incarnation uuid primary key,
  at timestamptz not null default now()
);
create trigger accounted_incarnation_change after insert on accounted_incarnation
  for each row execute function append_change('accounted_incarnation', 'incarnation');
