/** A network: its logical switch, the port to the physical network, and the DHCP options of its subnets. */
import { type DesiredRow, names } from '../desired.ts';
import type { IndexedModel, NetworkRow } from '../model.ts';
import { unit } from '../units.ts';
import { dhcpRows } from './dhcp.ts';

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
    ...localnet(network),
    ...dhcpRows(model, network),
  ];
}

function localnet(network: NetworkRow): DesiredRow[] {
  const { provider_network_type: type, provider_physical_network: physical } = network;
  if ((type !== 'flat' && type !== 'vlan') || !physical) return [];
  return [
    {
      table: 'Logical_Switch_Port',
      key: 'localnet',
      columns: {
        name: names.localnet(network.id),
        type: 'localnet',
        addresses: ['unknown'],
        options: { network_name: physical, mcast_flood: 'false', mcast_flood_reports: 'true' },
        tag: type === 'vlan' ? network.provider_segmentation_id : null,
      },
      parent: { table: 'Logical_Switch', owner: unit('network', network.id), key: 'switch', column: 'ports' },
    },
  ];
}
