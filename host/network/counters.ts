/**
 * What passed the taps of guests' ports, by the kernel's counters: they count each frame that a guest really took or gave, as long as the tap
 * stands, whoever of QEMU, ovs-vswitchd and this process ends meanwhile. A tap's interface index is never given out again in one boot.
 */
import type { PortId } from '../../contract/ids.ts';
import type { PortCounter, PortStatistics } from '../host-network.ts';
import { type CommandOptions, run } from './command.ts';
import { type Names, owner } from './names.ts';
import { aliasOf } from './ports.ts';

interface CountedLink {
  ifname: string;
  ifindex?: number;
  ifalias?: string;
  stats64?: PortStatistics;
}

/** @param tap only of this one */
export async function readPortCounters(names: Names, options: CommandOptions, tap?: string): Promise<PortCounter[]> {
  const text = await run('ip', ['-j', '-s', 'link', 'show', ...(tap === undefined ? [] : ['dev', tap])], options);
  const stamped = aliasOf(owner.port(''));
  return (JSON.parse(text || '[]') as CountedLink[]).flatMap(({ ifname, ifindex, ifalias, stats64 }) => {
    if (!names.tapPattern.test(ifname) || !ifalias?.startsWith(stamped) || !stats64 || ifindex === undefined) return [];
    // Turned round: the kernel receives what a guest sends.
    const statistics = { rx: stats64.tx, tx: stats64.rx };
    return [{ portId: ifalias.slice(stamped.length) as PortId, counter: `tap/${ifindex}`, statistics }];
  });
}
