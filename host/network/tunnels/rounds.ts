/** Which tunnels are tried next, and what is known of all of them. Pure but for its memory. */
import type { TunnelFault, TunnelReport } from '../../../contract/host/index.ts';
import type { HostId } from '../../../contract/ids.ts';
import type { FrameSize, TunnelPeer } from './frames.ts';

/**
 * Of one round: what a host sends is bounded by it, however many hosts there are. With a thousand and a round each ten seconds each of them tries each
 * other every five minutes, and is tried by it as often.
 */
const perRound = 32;
/** Of those that gave nothing back at their last try, so that one that is mended is soon known to be. */
const faultyPerRound = 16;
/** Of one message, see contract/host/limits.ts. */
const named = 200;

interface Known {
  peer: TunnelPeer;
  triedAtMs: number;
  fault: TunnelFault | undefined;
  /** Tries in a row that ended so. A frame may be lost: one is not enough to say that a tunnel is. */
  times: number;
}

const enough = 2;
/** For so many tries in a row it is tried again soon: what was only away or starting is soon known to be well. */
const soonTries = 30;

export class TunnelRounds {
  readonly #known = new Map<string, Known>();

  /** Those that there are; others are forgotten. */
  take(peers: readonly TunnelPeer[]): void {
    const there = new Set(peers.map(({ hostId }) => hostId));
    for (const id of this.#known.keys()) if (!there.has(id)) this.#known.delete(id);
    for (const peer of peers) {
      const known = this.#known.get(peer.hostId);
      if (known?.peer.address === peer.address) continue;
      this.#known.set(peer.hostId, { peer, triedAtMs: Number.NEGATIVE_INFINITY, fault: undefined, times: 0 });
    }
  }

  /** Whose turn it is: some that were silent, then those whose last try was longest ago. */
  next(): TunnelPeer[] {
    const oldest = [...this.#known.values()].sort((a, b) => a.triedAtMs - b.triedAtMs);
    const faulty = oldest.filter(({ fault }) => fault).slice(0, faultyPerRound);
    return [...new Set([...faulty, ...oldest])].slice(0, perRound).map(({ peer }) => peer);
  }

  /** What came back of a try. */
  tried(peer: TunnelPeer, came: ReadonlySet<FrameSize>, nowMs: number): void {
    const known = this.#known.get(peer.hostId);
    if (known?.peer.address !== peer.address) return;
    const fault = came.has('whole') ? undefined : came.has('short') ? 'narrow' : 'silent';
    known.times = fault === known.fault ? known.times + 1 : 1;
    known.fault = fault;
    known.triedAtMs = nowMs;
  }

  /** Somebody has given nothing back, or not all, not for long: worth another try soon. */
  get doubts(): boolean {
    return [...this.#known.values()].some(({ fault, times }) => fault && times < soonTries);
  }

  report(nowMs: number): TunnelReport {
    const all = [...this.#known.values()];
    const tried = all.filter(({ triedAtMs }) => triedAtMs > Number.NEGATIVE_INFINITY);
    const faults = tried.flatMap(({ peer, fault, times }) =>
      fault && times >= enough ? [{ hostId: peer.hostId as HostId, address: peer.address, fault }] : [],
    );
    return {
      ...{ peers: all.length, tried: tried.length, faults: faults.length, broken: faults.slice(0, named) },
      oldestMs: tried.length === 0 ? null : Math.round(nowMs - Math.min(...tried.map(({ triedAtMs }) => triedAtMs))),
    };
  }
}
