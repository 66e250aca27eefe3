-- Labels have meters too. A column that is generated cannot be changed, so it is made anew.
alter table meter
  drop constraint meter_check,
  drop constraint meter_check1,
  drop column resource_type,
  add column metering_label_id uuid unique references metering_label on delete cascade;
alter table meter
  add column resource_type text not null generated always as (
    case when port_id is not null then 'port' when floating_ip_id is not null then 'floating_ip'
      when metering_label_id is not null then 'metering_label' else 'router' end) stored,
  add check (num_nonnulls(port_id, floating_ip_id, router_id, metering_label_id) = 1),
  add check (id = coalesce(port_id, floating_ip_id, router_id, metering_label_id));
