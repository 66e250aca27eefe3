/**
 * A network's metadata endpoint on this machine: a namespace, and a veth from it into the integration bridge, plugged
 * as the network's localport (same address on every host; OVN never lets it leave the machine). Nothing runs in the
 * namespace; HAProxy binds into it. A veth, because an OVS internal port moved into a namespace misbehaves.
 */
import { createHash } from 'node:crypto';
import type { DesiredNetwork } from '../../contract/host/index.ts';
import {
  CommandError,
  type CommandOptions,
  findLink,
  ipBatch,
  listLinks,
  listNamespaces,
  nft,
  run,
  setKernel,
} from './command.ts';
import { guard, unguard } from './firewall.ts';
import type { MachineContext } from './machine-network.ts';
import { owner } from './names.ts';
import { aliasOf, plug, unplug } from './ports.ts';

/** Where guests find metadata; the IPv6 address is Nova's. */
export const metadataAddresses = { ipv4: '169.254.169.254', ipv6: 'fe80::a9fe:a9fe' } as const;
export const insideDevice = 'eth0';

export async function ensureNamespace(context: MachineContext, network: DesiredNetwork): Promise<void> {
  const { names, options, datapath } = context;
  const namespace = names.namespace(network.id);
  const veth = names.veth(network.id);
  const stamp = owner.network(network.id);
  await makeVeth(context, network);
  await inside(context, network);
  if (datapath.type === 'netdev') {
    // OVS reads the other end through AF_PACKET: checksums must be whole when frames leave the namespace.
    await run('ethtool', ['-K', insideDevice, 'tx', 'off'], { netns: namespace, machine: options.machine });
    await nft(guard(names, [veth]), options);
  }
  await ipBatch([`link set dev ${veth} alias ${aliasOf(stamp)} addrgenmode none mtu ${network.mtu} up`], options);
  const { id, mac } = network.metadataPort;
  await plug(context, { device: veth, logicalPort: id, mac, owner: stamp });
}

async function makeVeth(context: MachineContext, network: DesiredNetwork): Promise<void> {
  const { names, options } = context;
  const namespace = names.namespace(network.id);
  const veth = names.veth(network.id);
  if (!(await listNamespaces(options)).includes(namespace))
    await run('ip', ['netns', 'add', namespace], { machine: options.machine });
  const link = await findLink(veth, options);
  if (link && (await findLink(insideDevice, { netns: namespace, machine: options.machine }))) return;
  await unplug(context, veth);
  if (link) await ipBatch([`link del dev ${veth}`], options);
  // IPv4 settings of a new namespace are the machine's, which may be a router.
  const kernel = { 'net/ipv4/ip_forward': '0', 'net/ipv6/conf/default/accept_ra': '0' };
  await setKernel(kernel, { netns: namespace, machine: options.machine });
  await ipBatch([`link add dev ${veth} type veth peer name ${insideDevice} netns ${namespace}`], options);
}

async function inside({ names, options }: MachineContext, network: DesiredNetwork): Promise<void> {
  const within = { netns: names.namespace(network.id), machine: options.machine };
  const listed = JSON.parse(await run('ip', ['-j', 'addr', 'show', 'dev', insideDevice], within)) as {
    addr_info: { local?: string; prefixlen: number }[];
  }[];
  const found = listed.flatMap((link) => link.addr_info ?? []);
  const lines = planAddresses(
    new Set(found.filter(({ local }) => local !== undefined).map(({ local, prefixlen }) => `${local}/${prefixlen}`)),
    network,
  );
  await ipBatch(
    [
      'link set dev lo up',
      `link set dev ${insideDevice} addrgenmode none address ${network.metadataPort.mac} mtu ${network.mtu}`,
      ...lines,
      `link set dev ${insideDevice} up`,
    ],
    within,
  );
  await nft(unanswered, within);
}

/**
 * A connection that nobody accepts is not refused: where cloud-init 22.4.2 is refused it finds no cloud. Unanswered, the guest's kernel tries
 * again after one and three seconds, and HAProxy has been started again. Only answers to a first packet have the number 0.
 */
const unanswered = `table inet bothy_metadata
delete table inet bothy_metadata
table inet bothy_metadata {
  chain output {
    type filter hook output priority 0;
    tcp sport 80 tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 drop
  }
}
`;

/** Lines of `ip -batch` that give the endpoint its addresses and no others. Pure. */
export function planAddresses(found: ReadonlySet<string>, network: DesiredNetwork): string[] {
  const wanted = [...network.metadataPort.ips, `${metadataAddresses.ipv4}/32`, `${metadataAddresses.ipv6}/64`];
  const stale = [...found].filter((cidr) => !wanted.includes(cidr));
  const missing = wanted.filter((cidr) => !found.has(cidr));
  return [
    ...stale.map((cidr) => `addr del ${cidr} dev ${insideDevice}`),
    ...missing.map((cidr) => `addr add ${cidr} dev ${insideDevice}${cidr.includes(':') ? ' nodad' : ''}`),
  ];
}

/** Succeeds whether or not anything is left. `namespace` and `veth` are names of ours with the same ending. */
export async function removeNamespace(context: MachineContext, namespace: string): Promise<void> {
  const { names, options } = context;
  if (!names.namespacePattern.test(namespace)) throw new Error(`${namespace} is not a namespace of ours`);
  const veth = vethOf(names.tag, namespace);
  await unplug(context, veth);
  // Not left to the end of the namespace: HAProxy may hold that for some time yet.
  if (await findLink(veth, options)) await ipBatch([`link del dev ${veth}`], options);
  await nft(unguard(names, veth), options);
  await deleteNamespace(namespace, options);
}

export async function deleteNamespace(
  namespace: string,
  { machine }: Pick<CommandOptions, 'machine'> = {},
): Promise<void> {
  try {
    await run('ip', ['netns', 'del', namespace], { machine });
  } catch (error) {
    if (!(error instanceof CommandError && /No such file/.test(error.stderr))) throw error;
  }
}

export const vethOf = (tag: string, namespace: string): string => `${tag}v${namespace.slice(tag.length + 1)}`;

/** Namespaces of ours, and those whose veth is the only thing left. */
export async function findNamespaces(context: Pick<MachineContext, 'names' | 'options'>): Promise<Set<string>> {
  const { names, options } = context;
  const found = new Set((await listNamespaces(options)).filter((name) => names.namespacePattern.test(name)));
  for (const { ifname } of await listLinks(options)) {
    if (names.vethPattern.test(ifname)) found.add(`${names.tag}m${ifname.slice(names.tag.length + 1)}`);
  }
  return found;
}

/** Changes when the endpoint must be looked at again. */
export function fingerprint({ names: _, ...network }: DesiredNetwork): string {
  return createHash('sha256').update(JSON.stringify(network)).digest('hex');
}
