/** The setting of what this machine's cards give: NETWORK:EGRESS:INGRESS, with commas between, as Neutron's resource_provider_bandwidths. Pure. */
import { type HostBandwidth, hostLimits } from '../../contract/host/index.ts';

export const notBandwidths =
  'at most 100 of NETWORK:EGRESS:INGRESS with commas between, NETWORK the name of a physical network, or tunnels, both numbers kilobits a second, such as physnet1:10000000:10000000,tunnels:5000000:5000000';

const form = /^\s*([^\s:,]{1,255}):(\d{0,10}):(\d{0,10})\s*$/;

/** A direction without a number promises nothing. Null where the setting is wrong, or says more than control hears of a host. */
export function networkBandwidths(value: string): HostBandwidth[] | null {
  const found: HostBandwidth[] = [];
  for (const part of value.trim() === '' ? [] : value.split(',')) {
    const [, name, egress, ingress] = form.exec(part) ?? [];
    if (name === undefined) return null;
    const physicalNetwork = name === 'tunnels' ? null : name;
    if (found.some((one) => one.physicalNetwork === physicalNetwork)) return null;
    found.push({ physicalNetwork, egressKbps: Number(egress), ingressKbps: Number(ingress) });
  }
  return found.length > hostLimits.bandwidths ? null : found;
}
