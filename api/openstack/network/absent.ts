/**
 * What Neutron has and this cloud has not, by the paths that its clients call. They are told so by name: 404, as Neutron without the extension
 * answers, with the reason in the message. What is not here is in no list of extensions, and docs/mapping-ovn.md says why.
 */
const rates = 'nothing in the data path counts packets by the second';

const paths: readonly [path: RegExp, alias: string, why: string][] = [
  [/^log\//, 'logging', 'no log of what security groups let through or drop is kept'],
  [
    /^network[-_]segment[-_]ranges(\/|$)/,
    'network-segment-range',
    'every VLAN id of a physical network and every tunnel id is free for administrators to name, and tunnels are numbered by the cloud',
  ],
  [
    /^routers\/[^/]*\/conntrack[-_]helpers(\/|$)/,
    'l3-conntrack-helper',
    'connection tracking of routers asks for no helper (OVN has none)',
  ],
  [/^qos\/(policies\/[^/]*\/|alias[-_])packet[-_]rate[-_]limit[-_]rules(\/|$)/, 'qos-pps', rates],
  [/^qos\/(policies\/[^/]*\/|alias[-_])minimum[-_]packet[-_]rate[-_]rules(\/|$)/, 'qos-pps-minimum', rates],
];

/** @param path as it was asked for, from the root */
export function absent(path: string): string | undefined {
  const below = path.replace(/^.*?\/v2\.0\//, '');
  const found = paths.find(([pattern]) => pattern.test(below));
  return found && `The extension ${found[1]} is not available: ${found[2]}.`;
}
