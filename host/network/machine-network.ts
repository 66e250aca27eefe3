/**
 * The machine's share of the network: bridges, identity towards OVN, the machine's address on the external network and
 * its protection from guests. Every step may be repeated; the order is such that the protection is there before the
 * address. With the userspace datapath the bridges' devices die with ovs-vswitchd and come back bare: run it again then.
 */
import { chmodSync, statSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { OvsdbClient } from '../../protocols/ovsdb/index.ts';
import { CommandError, type CommandOptions, getKernel, ipBatch, nft, run, setKernel } from './command.ts';
import { type FirewallInput, forwardingBefore, guard, machineFirewall, refuseForbidden } from './firewall.ts';
import type { Names } from './names.ts';
import type { HostNetworkOptions } from './options.ts';
import { type Datapath, planMachine } from './plan.ts';
import { addChanges, readState } from './state.ts';

export interface MachineContext {
  client: OvsdbClient;
  names: Names;
  options: HostNetworkOptions;
  datapath: Datapath;
}

export async function prepareMachine(context: MachineContext): Promise<void> {
  const { client, names, options, datapath } = context;
  if (!options.machine) openTunDevice();
  await applyFirewall(names, options);
  const cards = [options.external?.device, datapath.type === 'netdev' ? options.underlay?.device : undefined];
  const devices = cards.filter((device) => device !== undefined);
  if (datapath.type === 'netdev' && devices.length > 0) await nft(guard(names, devices), options);
  if (options.external?.device) await nft(refuseForbidden(names, [options.external.device]), options);
  await applyChanges(context);
  const bridges = [names.integrationBridge];
  if (options.external) bridges.push(names.externalBridge);
  if (options.underlay && datapath.type === 'netdev') bridges.push(names.underlayBridge);
  await bridgesUp(client, bridges);
  for (const device of devices) await bringUpCard(device, context);
  if (options.external) await address(names.externalBridge, options.external.addresses, context);
  if (options.underlay) {
    const carrier = datapath.type === 'netdev' ? names.underlayBridge : options.underlay.device;
    await address(carrier, [options.underlay.address], context);
  }
}

async function applyChanges({ client, names, options, datapath }: MachineContext): Promise<void> {
  const state = readState(client);
  const changes = planMachine(state, names, options, datapath);
  if (changes.length === 0) return;
  const tx = client.transaction();
  addChanges(tx, state, changes);
  await client.transact(tx);
}

function bridgesUp(client: OvsdbClient, bridges: string[]): Promise<void> {
  const up = () => {
    const { interfaces } = readState(client);
    return bridges.every((name) => (interfaces.get(name)?.ofport ?? 0) > 0);
  };
  return client.replica.until(`ovs-vswitchd has the bridges ${bridges.join(', ')}`, up, { timeoutMs: 10_000 });
}

/** Gives the device exactly these addresses (its own link-local one aside) and brings it up. */
async function address(device: string, cidrs: string[], { options, datapath }: MachineContext): Promise<void> {
  // Guests are on this link: no routes from them, and no ARP answers for the machine's other addresses.
  const kernel = { [`net/ipv4/conf/${device}/arp_ignore`]: '1', [`net/ipv4/conf/${device}/arp_announce`]: '2' };
  const ipv6 = cidrs.some((cidr) => isIPv6(cidr.split('/')[0]!));
  await setKernel({ ...kernel, ...(ipv6 ? { [`net/ipv6/conf/${device}/accept_ra`]: '0' } : {}) }, options);
  const listed = JSON.parse(await run('ip', ['-j', 'addr', 'show', 'dev', device], options)) as {
    flags: string[];
    addr_info: { local: string; prefixlen: number; scope: string }[];
  }[];
  const found = listed.flatMap((link) => link.addr_info ?? []).filter(({ scope }) => scope !== 'link');
  const present = new Set(found.map(({ local, prefixlen }) => `${local}/${prefixlen}`));
  const lines = [...present].filter((cidr) => !cidrs.includes(cidr)).map((cidr) => `addr del ${cidr} dev ${device}`);
  for (const cidr of cidrs.filter((cidr) => !present.has(cidr))) {
    lines.push(`addr add ${cidr} dev ${device}${isIPv6(cidr.split('/')[0]!) ? ' nodad' : ''}`);
  }
  lines.push(`link set dev ${device} up`);
  await ipBatch(lines, options);
  // OVS in userspace takes frames from the device as they are: they must leave the stack with whole checksums.
  if (datapath.type === 'netdev') await run('ethtool', ['-K', device, 'tx', 'off'], options);
}

/** A card that OVS reads through AF_PACKET must deliver what was on the wire, not what receive offload made of it. */
async function bringUpCard(device: string, { options, datapath }: MachineContext): Promise<void> {
  await ipBatch([`link set dev ${device} up`], options);
  if (datapath.type !== 'netdev') return;
  for (const feature of ['tx', 'gro', 'lro']) {
    try {
      await run('ethtool', ['-K', device, feature, 'off'], options);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error; // fixed on some cards
    }
  }
}

// --- protection and the way out --------------------------------------------------------------------------------------

async function applyFirewall(names: Names, options: HostNetworkOptions): Promise<void> {
  const before = await stampedForwarding(names, options);
  const nat = options.uplink === 'nat' ? await natInput(options, before) : undefined;
  if (!nat && before !== undefined) await setForwarding(before, options);
  await nft(machineFirewall(nat ? { names, nat } : { names }), options);
  if (nat) await setForwarding('1', options);
}

async function natInput(options: HostNetworkOptions, before: '0' | '1' | undefined): Promise<FirewallInput['nat']> {
  const { external } = options;
  const address = external?.addresses.find((cidr) => !isIPv6(cidr.split('/')[0]!));
  if (address === undefined) throw new Error('uplink nat needs an external network with an IPv4 address');
  type Route = { dst: string; dev: string };
  const [route] = JSON.parse((await run('ip', ['-4', '-j', 'route', 'show', 'default'], options)) || '[]') as Route[];
  if (!route) throw new Error('uplink nat needs a default route, and this machine has none');
  const connected = JSON.parse((await run('ip', ['-4', '-j', 'route', 'show', 'scope', 'link'], options)) || '[]');
  const networks = (connected as Route[]).map(({ dst }) => dst).filter((dst) => dst !== 'default');
  const current = await getKernel('net/ipv4/ip_forward', options);
  return {
    device: route.dev,
    source: networkOf(address),
    protectedNetworks: options.protectedNetworks ?? [...new Set([...networks, '127.0.0.0/8', '169.254.0.0/16'])],
    forwardingBefore: before ?? (current === '1' ? '1' : '0'),
  };
}

/** 172.24.4.1/24 → 172.24.4.0/24 */
export function networkOf(cidr: string): string {
  const [ip, length] = cidr.split('/') as [string, string];
  const value = ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(length));
  const base = value - (value % size);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.')}/${length}`;
}

/** What ip_forward was before we turned it on; undefined where we did not. */
export async function stampedForwarding(names: Names, options: CommandOptions): Promise<'0' | '1' | undefined> {
  try {
    return forwardingBefore(await run('nft', ['list', 'table', 'inet', names.firewallTable], options));
  } catch (error) {
    if (error instanceof CommandError && /No such file/.test(error.stderr)) return undefined;
    throw error;
  }
}

export async function setForwarding(value: '0' | '1', options: CommandOptions): Promise<void> {
  await setKernel({ 'net/ipv4/ip_forward': value }, options);
}

/**
 * QEMU opens its tap as an ordinary user. /dev/net/tun is made for that: a tap opens only to its owner and making one
 * takes CAP_NET_ADMIN (Linux, Documentation/networking/tuntap.rst); udev gives it 0666, a bare machine may not.
 */
function openTunDevice(): void {
  const mode = statSync('/dev/net/tun').mode & 0o777;
  if ((mode & 0o006) !== 0o006) chmodSync('/dev/net/tun', 0o666);
}
