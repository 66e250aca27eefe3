/**
 * What a port's minimum bandwidth asks of a host, in the words of OpenStack's placement (extension `port-resource-request-groups`). Pure.
 * Here placement reads the rules themselves; this is for those who read Neutron's ports.
 */
import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import type { PortRow } from '../../../control/network/port/port.ts';
import * as a from './answers.ts';

export const resourceRequestShown = a.record({
  request_groups: a.list({ id: a.id, required: a.texts, resources: Type.Record(Type.String(), a.integer) }),
  same_subtree: Type.Array(a.id),
});

const classes = { egress: 'NET_BW_EGR_KILOBIT_PER_SEC', ingress: 'NET_BW_IGR_KILOBIT_PER_SEC' } as const;

type Asking = Pick<PortRow, 'id' | 'minimum_bandwidth' | 'physical_network' | 'binding_vnic_type'>;

/** Null where it asks for nothing. */
export function resourceRequest({ id, minimum_bandwidth: rules, physical_network, binding_vnic_type }: Asking) {
  if (!rules) return null;
  const network = physical_network === null ? 'CUSTOM_NETWORK_TUNNEL_PROVIDER' : trait('PHYSNET', physical_network);
  const group = nameId(id, rules.map((rule) => rule.id).join());
  const resources = Object.fromEntries(rules.map(({ direction, min_kbps }) => [classes[direction], min_kbps]));
  return {
    request_groups: [{ id: group, required: [network, trait('VNIC_TYPE', binding_vnic_type)], resources }],
    same_subtree: [group],
  };
}

/** Traits have capitals, digits and underscores only. */
const trait = (kind: string, name: string): string => `CUSTOM_${kind}_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;

/** The UUID of a name in the name space of another UUID, by SHA-1 (RFC 9562, 5.5). */
function nameId(space: string, name: string): string {
  const bytes = createHash('sha1')
    .update(Buffer.from(space.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
    .subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
