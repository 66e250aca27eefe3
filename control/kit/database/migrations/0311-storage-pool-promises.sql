-- How much of a pool may be promised, as its host's settings say: so many times what it holds, less what is kept free.
alter table storage_pool
  add column over_subscription double precision not null default 20 check (over_subscription >= 1),
  add column reserved_percentage integer not null default 0 check (reserved_percentage between 0 and 100);
