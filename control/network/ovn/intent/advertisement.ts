/**
 * Router advertisements of a guest, marked. No ACL sees them: ovn-northd 23.03 lets neighbour discovery pass at priority 65532 in all stages. A
 * mark is set whatever the ACLs say, in the transaction that makes the port, and each host spoils what bears it before any guest or card gets it
 * (`host/network/firewall.ts`). A filter on the guest's own tap would come too late: with the userspace datapath OVS reads the frames before it.
 */
import { forbiddenDscp } from '../../../../contract/host/index.ts';
import type { DesiredRow } from '../desired.ts';
import type { PortRow } from '../model.ts';
import { unit } from '../units.ts';

/** Above all rows of policies: of those that match OVN takes the highest. */
const priority = 32_767;

export const advertisementMark = ({ id, network_id: networkId }: PortRow): DesiredRow => ({
  table: 'QoS',
  key: 'advertisement',
  columns: {
    ...{ priority, direction: 'from-lport', match: `inport == "${id}" && icmp6.type == 134` },
    ...{ action: { dscp: forbiddenDscp }, bandwidth: {} },
  },
  parent: { table: 'Logical_Switch', owner: unit('network', networkId), key: 'switch', column: 'qos_rules' },
});
