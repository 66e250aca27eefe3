-- A limit of another service names its service and its region, as in Keystone: either may go before it, and it still says which.
alter table registered_limit add column region text;
update registered_limit l set region = r.name from region r where r.id = l.region_id;
alter table registered_limit drop column region_id, drop constraint registered_limit_service_id_fkey;
alter table registered_limit add unique nulls not distinct (service_id, region, resource_name);
