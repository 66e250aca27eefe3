/** A network: its logical switch, the port to the physical network, the DHCP options of its subnets, and the way to its local IPs. */
import { type DesiredRow, names } from '../desired.ts';
import type { IndexedModel, NetworkRow, SegmentRow } from '../model.ts';
import { unit } from '../units.ts';
import { dhcpRows } from './dhcp.ts';
import { localIpRows } from './local-ip.ts';

export function networkRows(model: IndexedModel, id: string): DesiredRow[] {
  const network = model.networks.get(id);
  if (!network) return [];
  return [
    {
      table: 'Logical_Switch',
      key: 'switch',
      columns: { name: names.switch(id), other_config: { mcast_snoop: 'false', 'vlan-passthru': 'false' } },
      labels: { 'bothy:name': network.name },
    },
    ...localnets(network),
    ...dhcpRows(model, network),
    ...localIpRows(model, network),
  ];
}

/** One for each segment on a physical network. The first is named by the network: it may be another one tomorrow. */
function localnets(network: NetworkRow): DesiredRow[] {
  const { id, provider_network_type: network_type, provider_physical_network: physical_network } = network;
  const first = { id, network_type, physical_network, segmentation_id: network.provider_segmentation_id };
  return [first, ...(network.further_segments ?? [])].flatMap((segment) => localnet(network, segment));
}

function localnet(network: NetworkRow, segment: SegmentRow): DesiredRow[] {
  const { network_type: type, physical_network: physical } = segment;
  if ((type !== 'flat' && type !== 'vlan') || !physical) return [];
  return [
    {
      table: 'Logical_Switch_Port',
      key: segment.id === network.id ? 'localnet' : `localnet-${segment.id}`,
      columns: {
        name: names.localnet(segment.id),
        type: 'localnet',
        addresses: ['unknown'],
        options: { network_name: physical, mcast_flood: 'false', mcast_flood_reports: 'true' },
        tag: type === 'vlan' ? segment.segmentation_id : null,
      },
      parent: { table: 'Logical_Switch', owner: unit('network', network.id), key: 'switch', column: 'ports' },
    },
  ];
}
