-- Networks that are older than segments have one each.
insert into segment (id, network_id, position, network_type, physical_network, segmentation_id)
select gen_random_uuid(), id, 0, provider_network_type, provider_physical_network, provider_segmentation_id
from network n where not exists (select from segment s where s.network_id = n.id);
