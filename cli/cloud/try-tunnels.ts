/**
 * Whether tunnels get through between this machine, which is no host yet, and hosts of the cloud: the frames by which hosts try each other (host/network/tunnels), sent by
 * this machine itself to the port of tunnels and awaited there, both ways and whole. The card for tunnels gets its address for as long as that lasts; where this
 * process dies meanwhile the kernel takes the address away again.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { answerOf, datagram, type FrameSize, genevePort, sizes } from '../../host/network/index.ts';
import { CommandError } from '../command.ts';
import { tryRun } from '../run.ts';
import { tunnelCard } from '../setting-checks.ts';
import type { Settings } from '../settings.ts';

/** Where tunnels of a host end. */
export interface TunnelEnd {
  host: string;
  address: string;
  mtu: number;
}

/** A switch in user space has to find out first where we are, and loses what comes before that. */
const tries = 6;
const waitMs = 500;
const lentSeconds = 60;

/**
 * @param local where this machine's tunnels will end if the setting names no card
 * @throws CommandError which end is not reached, or only by short frames
 */
export async function requireTunnelEnds(
  { values }: Settings,
  local: string,
  ends: readonly TunnelEnd[],
): Promise<void> {
  const card = tunnelCard(values.tunnels);
  const own = card?.address.split('/')[0] ?? local;
  const reachable = ends.filter(({ address }) => isIPv6(address) === isIPv6(own));
  if (reachable.length === 0) return;
  const giveBack = card ? await lendAddress(card) : () => {};
  try {
    for (const end of reachable) refuse(own, end, await tryEnd(own, end.address));
  } finally {
    await giveBack();
  }
}

/** What came back; undefined: this machine has tunnels of its own already, and nobody else can listen at their port. */
export function tryEnd(own: string, address: string): Promise<ReadonlySet<FrameSize> | undefined> {
  return new Promise((resolve, reject) => {
    const came = new Set<FrameSize>();
    const socket = createSocket({ type: isIPv6(own) ? 'udp6' : 'udp4' });
    let sent = 0;
    const end = (settle: () => void) => {
      clearInterval(timer);
      socket.close();
      settle();
    };
    const send = () => {
      if (sent++ === tries) return end(() => resolve(came));
      // What the card itself can't carry is an error here, and no answer.
      for (const size of sizes) if (!came.has(size)) socket.send(datagram(size), genevePort, address, () => {});
    };
    const timer = setInterval(send, waitMs);
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end(() => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error))),
    );
    socket.on('message', (payload) => {
      const size = answerOf(payload);
      if (size) came.add(size);
      if (came.size === sizes.length) end(() => resolve(came));
    });
    socket.bind({ address: own, port: genevePort }, send);
  });
}

function refuse(own: string, { host, address, mtu }: TunnelEnd, came: ReadonlySet<FrameSize> | undefined): void {
  if (!came || came.has('whole')) return;
  if (came.has('short')) {
    throw new CommandError(
      `the way from ${own} to ${address} (host ${host}) carries short tunnel frames, and none of ${mtu} bytes`,
      `let every card and switch between them carry packets of ${mtu} bytes`,
    );
  }
  throw new CommandError(
    `no tunnel gets through between ${own} and ${address} (host ${host}): UDP ${genevePort} is not answered`,
    `open UDP ${genevePort} between both, both ways; is the card for tunnels ('tunnels') on the same network as the other's?`,
  );
}

interface Link {
  ifname: string;
  flags: string[];
  addr_info: { local: string }[];
}

/** @returns what makes the card what it was */
async function lendAddress({ device, address }: { device: string; address: string }): Promise<() => Promise<void>> {
  const own = address.split('/')[0]!;
  const links = JSON.parse((await tryRun('ip', ['-j', 'addr', 'show'])).stdout || '[]') as Link[];
  if (links.some(({ addr_info }) => addr_info.some(({ local }) => local === own))) return async () => {};
  const down = !links.find(({ ifname }) => ifname === device)?.flags.includes('UP');
  const seconds = String(lentSeconds);
  const ends = ['valid_lft', seconds, 'preferred_lft', seconds];
  const offloads = /^tx-checksumming: on$/m.test((await tryRun('ethtool', ['-k', device])).stdout);
  if (down) await tryRun('ip', ['link', 'set', device, 'up']);
  await tryRun('ip', ['addr', 'add', address, 'dev', device, ...ends, ...(isIPv6(own) ? ['nodad'] : [])]);
  // A switch in user space at the other end of a virtual card must find whole checksums.
  if (offloads) await tryRun('ethtool', ['-K', device, 'tx', 'off']);
  return async () => {
    if (offloads) await tryRun('ethtool', ['-K', device, 'tx', 'on']);
    await tryRun('ip', ['addr', 'del', address, 'dev', device]);
    if (down) await tryRun('ip', ['link', 'set', device, 'down']);
  };
}
