/**
 * Which card comes or goes next while the guest runs. The port of one that goes leaves it at once, whatever the guest does; the card
 * itself the guest has to let go of. QEMU 7.2 says nothing where it does not, takes a second request as if it were new, and completes
 * one at the next reset; so it is asked once, waited for a while, and then left: its next start has the cards that it shall have. Pure.
 */
import type { DesiredPort, DesiredServer } from '../../contract/host/index.ts';
import { hotSlots } from '../guest/layout.ts';
import type { CardRecord } from './record.ts';

export type CardStep =
  | { do: 'unplug-card'; card: CardRecord }
  /** It has let go of it. */
  | { do: 'forget-card'; card: CardRecord }
  | { do: 'await-card'; card: CardRecord; ms: number }
  | { do: 'plug-card'; port: DesiredPort; slot: number };

export interface CardFacts {
  cards: readonly CardRecord[];
  /** Devices of the machine; asked where one is awaited. Undefined: not known now. */
  devices: ReadonlySet<string> | undefined;
  now: number;
  unplugTimeoutMs: number;
}

export const deviceOf = ({ slot }: Pick<CardRecord, 'slot'>): string => `nic${slot}`;

export function cardStep(
  desired: DesiredServer,
  { cards, devices, now, unplugTimeoutMs }: CardFacts,
): CardStep | undefined {
  const wanted = new Set(desired.ports.map(({ id }) => id));
  const gone = cards.find(({ id, askedAt }) => askedAt === undefined && !wanted.has(id));
  if (gone) return { do: 'unplug-card', card: gone };
  const asked = cards.filter(({ askedAt }) => askedAt !== undefined);
  const released = devices && asked.find((card) => !devices.has(deviceOf(card)));
  if (released) return { do: 'forget-card', card: released };
  const port = nextToPlug(desired, cards);
  if (port) return port;
  for (const card of asked) {
    // A clock that was set back makes nobody wait longer.
    const ms = Math.min(unplugTimeoutMs, card.askedAt! + unplugTimeoutMs - now);
    if (ms > 0) return { do: 'await-card', card, ms };
  }
  return undefined;
}

/** Others wait for the next start: those beyond the ports, those of a machine without any, one whose place another has not left. */
function nextToPlug({ ports, machine }: DesiredServer, cards: readonly CardRecord[]): CardStep | undefined {
  if ((machine?.layout ?? 0) === 0) return undefined;
  const here = new Set(cards.filter(({ askedAt }) => askedAt === undefined).map(({ id }) => id));
  const taken = new Set(cards.map(({ slot }) => slot));
  for (const [index, port] of ports.entries()) {
    const slot = port.slot ?? index;
    if (!here.has(port.id) && slot < hotSlots && !taken.has(slot)) return { do: 'plug-card', port, slot };
  }
  return undefined;
}
