-- The password that a server's first boot is to set, for its config drive; gone as soon as the guest has run. Apart from the row that
-- every change copies.
create table server_admin_password (
  server_id uuid primary key references server on delete cascade,
  password text not null
);
