/** Whether this machine can send tunnels to others. Looks only. */
import { CommandError } from '../command.ts';
import { tryRun } from '../run.ts';
import { tunnelCard } from '../setting-checks.ts';
import type { Settings } from '../settings.ts';
import { cards, kernelHas } from './preflight.ts';

/** What Geneve puts around a guest's frame of 1442 bytes and its header, by the IP version of the way (host/network). */
const neededMtu = { 4: 1500, 6: 1520 } as const;

/** @throws CommandError where tunnels cannot leave this machine */
export async function requireTunnels({ values, paths }: Settings): Promise<void> {
  const card = tunnelCard(values.tunnels);
  const where = `in ${paths.settingsFile} (or BOTHY_TUNNELS)`;
  if (card && !cards().includes(card.device)) {
    throw new CommandError(
      `this machine has no network card '${card.device}' for tunnels`,
      `correct 'tunnels' ${where}`,
    );
  }
  if (card || !(await isUserspace(values.datapath))) return;
  throw new CommandError(
    "Open vSwitch runs in user space here, which sends tunnels by a card of its own only, and the setting 'tunnels' names none",
    `name a card that nothing else uses, with an address on it, such as tunnels = eth1:10.9.0.1/24, ${where}; then down and up`,
  );
}

async function isUserspace(datapath: string): Promise<boolean> {
  if (datapath !== 'auto') return datapath === 'netdev';
  return !(await kernelHas('openvswitch'));
}

/** The card that carries tunnels with its MTU, and the least that whole frames of guests need; undefined where it can't be told. */
export async function tunnelMtu(
  { values }: Settings,
  address: string | undefined,
): Promise<{ device: string; mtu: number; needed: number } | undefined> {
  const card = tunnelCard(values.tunnels);
  const local = card?.address.split('/')[0] ?? address;
  if (local === undefined) return undefined;
  const links = JSON.parse((await tryRun('ip', ['-j', 'addr', 'show'])).stdout || '[]') as Link[];
  const link = links.find(({ ifname, addr_info }) =>
    card ? ifname === card.device : addr_info?.some((entry) => entry.local === local),
  );
  return link && { device: link.ifname, mtu: link.mtu, needed: neededMtu[local.includes(':') ? 6 : 4] };
}

interface Link {
  ifname: string;
  mtu: number;
  addr_info?: { local: string }[];
}
