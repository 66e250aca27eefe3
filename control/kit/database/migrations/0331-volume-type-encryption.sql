-- How volumes of a type shall be encrypted. No trigger: a change raises the type's generation.
create table volume_type_encryption (
  volume_type_id uuid primary key references volume_type on delete cascade,
  id uuid not null unique,
  provider text not null,
  control_location text not null check (control_location in ('front-end', 'back-end')),
  cipher text,
  key_size integer,
  created_at timestamptz not null default now(),
  updated_at timestamptz
);
