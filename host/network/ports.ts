/**
 * Ports of guests on this machine: a tap that the guest's own user owns, guarded, and its place in the integration bridge.
 * Kernel first, then Open vSwitch; away in the opposite order. A crash between the two leaves a tap whose alias, or an
 * Interface row whose external_ids, name the port: `listPorts` finds both.
 */
import type { DesiredPort } from '../../contract/host/index.ts';
import type { PortId } from '../../contract/ids.ts';
import { findLink, ipBatch, type Link, listLinks, nft } from './command.ts';
import { guard, refuseForbidden, unguard } from './firewall.ts';
import type { MachineContext } from './machine-network.ts';
import { owner, ownerKey } from './names.ts';
import { planPlug, planUnplug, type WantedPlug } from './plan.ts';
import { addChanges, type Change, readState } from './state.ts';

export interface PluggedPort {
  tap: string;
  /**
   * Whether QEMU may offer the guest checksum and segmentation offload (`vnet_hdr=on`). Not on the userspace datapath:
   * OVS would forward the frames with checksums that nobody completed, and TCP would not work.
   */
  vnetHeader: boolean;
}

export interface ObservedPort {
  /** Undefined for a tap with our name that carries no stamp. */
  id: PortId | undefined;
  tap: string;
  linkExists: boolean;
  /** ovs-vswitchd forwards for it. */
  plugged: boolean;
  error: string | null;
}

/** @param lastOf told of a tap that carries nothing any more, before it goes */
export async function ensurePort(
  context: MachineContext,
  port: DesiredPort,
  uid: number | undefined,
  lastOf: (tap: string) => Promise<void>,
): Promise<PluggedPort> {
  const { names, options, datapath } = context;
  const tap = names.tap(port.id);
  const stamp = owner.port(port.id);
  const user = uid === undefined ? options.guestUser : String(uid);
  const found = await findLink(tap, options);
  const alias = found?.ifalias;
  if (found && alias !== undefined && alias !== aliasOf(stamp))
    throw new Error(`${tap} belongs to ${alias}, not to ${stamp}`);
  if (!found || found.linkinfo?.info_data?.user !== user) {
    // A row that outlived its device would look plugged while vswitchd holds on to the dead one.
    await unplug(context, tap);
    if (found) await removeLink(context, tap, lastOf);
    await ipBatch([`tuntap add dev ${tap} mode tap user ${user}`], options);
  }
  // Protection comes before the device is up and plugged: the kernel's stack never hears the guest, nor the guest another one's advertisement.
  await nft(`${datapath.type === 'netdev' ? guard(names, [tap]) : ''}${refuseForbidden(names, [tap])}`, options);
  await ipBatch([`link set dev ${tap} alias ${aliasOf(stamp)} addrgenmode none mtu ${port.mtu} up`], options);
  await plug(context, { device: tap, logicalPort: port.id, mac: port.mac, owner: stamp });
  return { tap, vnetHeader: datapath.type === 'system' };
}

/** Succeeds whether or not anything of the port is left. */
export async function removeTap(
  context: MachineContext,
  tap: string,
  lastOf: (tap: string) => Promise<void>,
): Promise<void> {
  const { names, options } = context;
  if (!names.tapPattern.test(tap)) throw new Error(`${tap} is not a tap of ours`);
  await unplug(context, tap);
  if (await findLink(tap, options)) await removeLink(context, tap, lastOf);
  await nft(unguard(names, tap), options);
}

async function removeLink({ options }: MachineContext, tap: string, lastOf: (tap: string) => Promise<void>) {
  await lastOf(tap);
  await ipBatch([`link del dev ${tap}`], options);
}

export async function listPorts(context: MachineContext): Promise<ObservedPort[]> {
  const { client, names, options } = context;
  const links = new Map<string, Link>();
  for (const link of await listLinks(options)) if (names.tapPattern.test(link.ifname)) links.set(link.ifname, link);
  const { interfaces } = readState(client);
  const plugs = [...interfaces.values()].filter(({ name }) => names.tapPattern.test(name));
  const taps = new Set([...links.keys(), ...plugs.map(({ name }) => name)]);
  return [...taps].sort().map((tap) => {
    const link = links.get(tap);
    const found = interfaces.get(tap);
    const stamp = found?.externalIds[ownerKey] ?? link?.ifalias?.slice(aliasPrefix.length);
    return {
      id: stamp?.startsWith('port/') ? (stamp.slice('port/'.length) as PortId) : undefined,
      tap,
      linkExists: link !== undefined,
      plugged: (found?.ofport ?? 0) > 0,
      error: found?.error ?? null,
    };
  });
}

const aliasPrefix = 'bothy:';
export const aliasOf = (stamp: string) => `${aliasPrefix}${stamp}`;

/** Plugs a device and waits until ovs-vswitchd has it (some 10 ms). */
export async function plug(context: MachineContext, wanted: WantedPlug): Promise<void> {
  const { client, names } = context;
  const state = readState(client);
  const changes = planPlug(state, names, wanted);
  const has = () => (readState(client).interfaces.get(wanted.device)?.ofport ?? 0) > 0;
  // An empty plan with a port that vswitchd does not have still asks it to look again: the device may be new.
  if (changes.length > 0 || !has()) await commit(context, changes);
  const error = () => readState(client).interfaces.get(wanted.device)?.error ?? 'ovs-vswitchd does not answer';
  try {
    await client.replica.until(`ovs-vswitchd has ${wanted.device}`, has, { timeoutMs: 5000 });
  } catch (cause) {
    throw new Error(
      `plugging ${wanted.owner} (${wanted.device}) failed: ${client.replica.complete ? error() : 'no OVSDB'}`,
      {
        cause,
      },
    );
  }
}

export async function unplug(context: MachineContext, device: string): Promise<void> {
  const changes = planUnplug(readState(context.client), device);
  if (changes.length > 0) await commit(context, changes);
}

async function commit({ client }: MachineContext, changes: Change[]): Promise<void> {
  const tx = client.transaction();
  addChanges(tx, readState(client), changes);
  await client.transact(tx);
}
