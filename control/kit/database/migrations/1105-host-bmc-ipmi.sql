-- A BMC that speaks IPMI (its address begins with ipmi:) has no certificate: who answers proves that they know the password.
alter table host_bmc
  drop constraint host_bmc_check,
  add constraint host_bmc_trust check (
    case when url like 'ipmi:%' then fingerprint256 is null and ca is null else (fingerprint256 is null) <> (ca is null) end);
