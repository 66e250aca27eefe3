-- Limits where nobody has set others.
insert into quota (id, resource, maximum)
select gen_random_uuid(), resource, maximum from (values
  ('volumes', 100), ('volume_snapshots', 100), ('volume_gigabytes', 10000), ('volume_gigabytes_each', -1), ('backups', 100),
  ('backup_gigabytes', 10000), ('volume_groups', 10)
) as defaults (resource, maximum)
on conflict do nothing;
