/**
 * What is to be done next to the cache of a volume: its layers in, one step out. Pure; after each step all is looked at again.
 *
 *   nobody has it, and its top is a generation → another base on it, so that all generations can sink
 *   a server has it, and its top is a base     → a generation on it: what was to end its cache came to nothing
 *   generations below a base                   → they sink into the base below them
 *   the top is full, an older one is below it  → the older one sinks
 *   the top is full, and no other is left      → another generation on it
 *   nothing sinks into a base any more         → what it holds is final
 */
export interface CacheLayer {
  id: string;
  role: 'base' | 'writes' | null;
  readOnly: boolean;
  /** Its host has said that it is as it shall be. */
  served: boolean;
  /** Its file still builds on something else. */
  moving: boolean;
  full: boolean;
}

export type CacheStep =
  | { do: 'cover'; top: string }
  | { do: 'begin'; top: string }
  | { do: 'rotate'; top: string }
  /** `into` builds on `onto`; what lies between, the highest of which is named, goes down into that. */
  | { do: 'sink'; above: string; highest: string; onto: string }
  | { do: 'settle'; base: string };

/** @param chain from the volume's top down */
export function planCache(chain: readonly CacheLayer[], { had }: { had: boolean }): CacheStep | undefined {
  const end = chain.findIndex(({ role }) => role === null);
  const layers = end < 0 ? chain : chain.slice(0, end);
  const [top] = layers;
  if (!top || layers.some(({ moving }) => moving)) return undefined;
  if (!had && top.role === 'writes') return { do: 'cover', top: top.id };
  if (had && top.role === 'base' && top.served) return { do: 'begin', top: top.id };
  return sinking(layers) ?? settling(layers) ?? rotating(layers);
}

/** The lowest first: what is above it then has less below. */
function sinking(layers: readonly CacheLayer[]): CacheStep | undefined {
  for (let at = layers.length - 1; at > 0; at--) {
    const onto = layers[at]!;
    if (onto.role !== 'base' || layers[at - 1]!.role !== 'writes') continue;
    const highest = highestAbove(layers, at);
    if (highest === at) continue;
    const above = layers[highest - 1]!;
    const due = above.role === 'base' || above.full;
    if (due && above.served) return { do: 'sink', above: above.id, highest: layers[highest]!.id, onto: onto.id };
    return undefined;
  }
  return undefined;
}

/** The place of the highest generation on the base, but for the top, to which a guest writes; the base's own where there is none. */
function highestAbove(layers: readonly CacheLayer[], base: number): number {
  let at = base;
  while (at > 1 && layers[at - 1]!.role === 'writes') at--;
  return at;
}

/** From below: nothing sinks into what has none of a cache below it, and what is on it is a base of its own. */
function settling(layers: readonly CacheLayer[]): CacheStep | undefined {
  const at = layers.length - 1;
  return at > 0 && layers[at]!.role === 'base' && layers[at - 1]!.role === 'base'
    ? { do: 'settle', base: layers[at]!.id }
    : undefined;
}

function rotating([top, below]: readonly CacheLayer[]): CacheStep | undefined {
  const due = top!.role === 'writes' && top!.full && top!.served && below?.role === 'base';
  return due ? { do: 'rotate', top: top!.id } : undefined;
}
