/** What connection tracking remembers of a way, for the answer's way back: how a packet came to a place, and how it went on. */
import type { Packet } from './question.ts';

interface Translation {
  /** The router's id, that of the network that did it, or of a router's NAT64. */
  place: string;
  before: Packet;
  after: Packet;
}

export class Translations {
  readonly #made: Translation[] = [];

  remember(place: string, before: Packet, after: Packet): void {
    this.#made.push({ place, before, after });
  }

  /** Each of the place that the packet answers, turned back, the last one first; each on what the one before it has made of the packet. */
  *turnedBack(place: string, packet: Packet): Iterable<Packet> {
    let now = packet;
    for (const { place: where, before, after } of this.#made.toReversed()) {
      if (where !== place || after.source !== now.destination || after.destination !== now.source) continue;
      now = { ...now, version: before.version, source: before.destination, destination: before.source };
      yield now;
    }
  }

  /** Whether the packet, as it was asked for, is an answer to what was translated there. */
  isAnswer(place: string, { source, destination }: Packet): boolean {
    return this.#made.some(
      (one) => one.place === place && one.before.source === destination && one.before.destination === source,
    );
  }
}
