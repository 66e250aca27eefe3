-- A port's own domain, which stands before its network's (Neutron's dns-domain-ports).
alter table port add column if not exists dns_domain text not null default '';
