-- Servers of before have names on their networks too, as the ports of new ones have.
update port p set dns_name = lower(split_part(s.hostname, '.', 1)), generation = p.generation + 1, updated_at = now()
from server_port sp join server s on s.id = sp.server_id
where p.id = sp.port_id and p.dns_name = '' and s.hostname <> '';
