-- Hosts know floating IPs by their addresses, and tell a counter of one that is gone for a moment longer: it must not begin the meter of the
-- next one with its address. So what is known of a counter outlives its meter; it is forgotten an hour later, when its host tells something.
alter table meter_reading
  alter column meter_id drop not null,
  drop constraint meter_reading_meter_id_fkey,
  add constraint meter_reading_meter_id_fkey foreign key (meter_id) references meter on delete set null;
create index meter_reading_of_nothing on meter_reading (host_id, updated_at) where meter_id is null;
