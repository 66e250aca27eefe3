-- Most ports keep to no policy, and every server's are given a host: what they cost is one look at their network, a tenth of what it was.
create or replace function promise_port_bandwidth() returns trigger language plpgsql as $$
declare
  policy uuid;
begin
  if new.host_id is not null then
    -- Held as in promise_bandwidth: who changes the network's policy meanwhile waits, and finds the port where it is.
    select coalesce(new.qos_policy_id, qos_policy_id) into policy from network where id = new.network_id for key share;
  end if;
  if policy is not null then
    perform promise_bandwidth(array[new.id]);
  elsif tg_op = 'UPDATE' and old.host_id is not null then
    delete from port_bandwidth where port_id = new.id;
  end if;
  return null;
end
$$;
