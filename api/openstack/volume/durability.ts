/**
 * What volumes of a type may lose, in words, where a type's extra specs are shown: clients show no other field of a type that could say it. An
 * administrator's own words under that key go before these. It is said of types alone whose volumes are in memory or have a cache; `/extra_specs` has
 * what was set and no more.
 */
import { type Loss, lossesOf } from '../../../control/storage/volume-type/index.ts';

export const durabilityKey = 'bothy:durability';

const words: Readonly<Record<Loss, string>> = {
  memory:
    'Volumes may lie in the memory of their host: a restart of that machine loses all that they hold, and they are in error then.',
  cache:
    'What a server writes lies in the pool of the cache alone until it has sunk: with that pool it is lost. What was there at a snapshot, and a volume that no server has, is safe once it has sunk.',
  cache_in_memory:
    'What a server writes lies in the memory of its host alone until it has sunk: a restart of that machine loses it. What was there at a snapshot, and a volume that no server has, is safe once it has sunk.',
  copies: 'The cache holds copies only: with its pool nothing is lost.',
};

/** One entry, or none. */
export function durabilityOf(specs: Readonly<Record<string, string>>): Record<string, string> {
  if (Object.hasOwn(specs, durabilityKey)) return {};
  const said = lossesOf(specs).map((loss) => words[loss]);
  return said.length === 0 ? {} : { [durabilityKey]: said.join(' ') };
}
