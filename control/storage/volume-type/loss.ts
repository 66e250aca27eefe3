/** What volumes of a type may lose without anybody having deleted it, as far as the type's extra specs say where they lie. Pure. */
import { CloudError } from '../../../contract/errors.ts';
import { cacheWords } from './cache-words.ts';

/**
 * `memory`: they may lie in memory, which a restart of their host empties. `cache`, `cache_in_memory`: what has not sunk yet, with the pool of their
 * cache. `copies`: their cache holds but copies, and nothing is lost with it.
 */
export type Loss = 'memory' | 'cache' | 'cache_in_memory' | 'copies';

export function lossesOf(specs: Readonly<Record<string, string>>): Loss[] {
  const losses: Loss[] = [];
  if (/\bram\b/.test(specs['bothy:tier'] ?? '') || /^<is>\s*false$/i.test(specs.durable?.trim() ?? ''))
    losses.push('memory');
  const cache = wholeCacheOf(specs);
  if (!cache) return losses;
  if (cache.policy === 'write-through') return [...losses, 'copies'];
  return [...losses, cache.tier === 'ram' ? 'cache_in_memory' : 'cache'];
}

/** A type may be given its words one by one: as long as some are missing it makes no volumes. */
function wholeCacheOf(specs: Readonly<Record<string, string>>) {
  try {
    return cacheWords(specs);
  } catch (error) {
    if (error instanceof CloudError) return null;
    throw error;
  }
}
