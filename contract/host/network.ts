/** A network that has a server on the host: the host keeps a metadata namespace on it. */
import type { Static } from 'typebox';
import type { NetworkId, PortId } from '../ids.ts';
import { id, list, object } from '../schema/type.ts';
import { portLimits } from './limits.ts';
import { cidr, mac, mtu } from './port.ts';

export const desiredNetwork = object({
  id: id<NetworkId>(),
  mtu,
  /** The network's localport (same id, MAC and addresses on every host); `ips` in CIDR form, one per IPv4 subnet. */
  metadataPort: object({
    id: id<PortId>(),
    mac,
    ips: list(cidr, portLimits.metadataAddresses),
  }),
});
export type DesiredNetwork = Static<typeof desiredNetwork>;
