/** Rules for what a caller may write into a port. Pure. */

import { CloudError } from '../../../contract/errors.ts';
import { formatCidr, formatIp, parseCidr, parseIp, parseMac } from '../../kit/address.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import { forbidden } from '../../kit/rows.ts';
import { cloudOwners, type NewPort } from './create.ts';
import type { AddressPair } from './tables.ts';

const maxPairs = 10;

/** What a caller may name, as a change of an existing port too. */
export type PortWish = Omit<
  NewPort,
  'project_id' | 'network_id' | 'host_id' | 'only_version' | 'delete_with_device' | 'mac'
> & {
  /** Null: one that the cloud makes up. */
  mac?: string | null;
};

/**
 * Attributes with rules of their own: administrators, or who owns the network (the filters protect its other users).
 * @param operation 'create_port' or 'update_port'
 */
export function checkPortRights(caller: Caller, wish: PortWish, networkProject: string, operation: string): void {
  // Whoever could write these would plug a port into another's router.
  const owner = wish.device_owner ?? '';
  if (cloudOwners.includes(owner) || owner.startsWith('network:router')) {
    throw forbidden(operation, 'device_owner');
  }
  if (isAdmin(caller)) return;
  const refuse = (name: string): never => {
    throw forbidden(operation, name);
  };
  if (wish.binding_host !== undefined) refuse('binding:host_id');
  if (owner.startsWith('network:')) refuse('device_owner');
  if (networkProject === caller.projectId) return;
  if (wish.mac !== undefined) refuse('mac_address');
  if (wish.port_security_enabled !== undefined) refuse('port_security_enabled');
  if (wish.allowed_address_pairs !== undefined) refuse('allowed_address_pairs');
  if (wish.fixed_ips?.some((ip) => ip.ip !== undefined)) refuse('fixed_ips:ip_address');
}

/** Canonical pairs; a pair without a MAC means the port's own. */
export function checkPairs(pairs: readonly Partial<AddressPair>[], mac: string): AddressPair[] {
  if (pairs.length > maxPairs) {
    throw new CloudError('invalid', 'allowed_address_pair_exhausted', { maximum: maxPairs });
  }
  const seen = new Set<string>();
  return pairs.map((pair) => {
    if (pair.ip_address === undefined) {
      throw new CloudError('invalid', 'allowed_address_pairs_missing_ip', {});
    }
    const ip = readPrefixOrIp(pair.ip_address);
    const pairMac = pair.mac_address === undefined ? mac : parseMac(pair.mac_address);
    if (ip === undefined || pairMac === undefined) {
      throw new CloudError('invalid', 'allowed_address_pair_malformed', {
        ip: pair.ip_address,
        mac: pair.mac_address ?? '',
      });
    }
    const key = `${ip} ${pairMac}`;
    if (seen.has(key)) {
      throw new CloudError('invalid', 'duplicate_address_pair_in_request', { ip, mac: pairMac });
    }
    seen.add(key);
    return { ip_address: ip, mac_address: pairMac };
  });
}

function readPrefixOrIp(text: string): string | undefined {
  const ip = parseIp(text);
  if (ip) return formatIp(ip.version, ip.value);
  const cidr = parseCidr(text);
  return cidr && formatCidr(cidr);
}
