/**
 * What a volume type says of a cache, in its extra specs: `bothy:cache_pool` or `bothy:cache_tier` (where), `bothy:cache_gib` (how much, in all),
 * `bothy:cache_policy`. Pure.
 */
import { CloudError } from '../../../contract/errors.ts';

type Specs = Readonly<Record<string, string>>;

export interface CacheWords {
  /** By name; null: any of the tier. */
  pool: string | null;
  tier: 'ram' | 'flash' | null;
  bytes: number;
  /** `write-through`: what a guest writes goes to the volume's own pool, and nothing is lost with the other one. */
  policy: CachePolicy;
}

export type CachePolicy = 'write-back' | 'write-through';

const gibBytes = 1024 ** 3;
/** The least that two generations of some use take. */
const leastGib = 1 / 16;
const prefix = 'bothy:cache_';

const checks: Readonly<Record<string, { is: (value: string) => boolean; wanted: string }>> = {
  'bothy:cache_pool': { is: (value) => /^[a-z0-9][a-z0-9-]{0,62}$/.test(value), wanted: 'the name of a pool' },
  'bothy:cache_tier': { is: (value) => value === 'ram' || value === 'flash', wanted: 'ram or flash' },
  'bothy:cache_gib': { is: isSize, wanted: `a number of GiB from ${leastGib} on` },
  'bothy:cache_policy': {
    is: (value) => value === 'write-back' || value === 'write-through',
    wanted: 'write-back or write-through',
  },
};

export const cacheKeys = Object.keys(checks);

function isSize(value: string): boolean {
  return /^\d{1,6}(\.\d{1,6})?$/.test(value) && Number(value) >= leastGib;
}

/** @throws CloudError `invalid` for what no cache can be, by name; what is missing a type may get later */
export function requireCacheWords(specs: Specs): void {
  for (const [key, value] of Object.entries(specs)) {
    if (!key.startsWith(prefix)) continue;
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    const wanted = check ? check.wanted : `one of ${cacheKeys.join(', ')}`;
    if (!check?.is(value)) throw new CloudError('invalid', 'volume_type_cache_unfit', { key, value, wanted });
  }
}

/**
 * Null: its volumes have none.
 * @throws CloudError `invalid` where something is said of a cache and not enough
 */
export function cacheWords(specs: Specs): CacheWords | null {
  if (!Object.keys(specs).some((key) => key.startsWith(prefix))) return null;
  requireCacheWords(specs);
  const [pool, tier] = [specs['bothy:cache_pool'] ?? null, specs['bothy:cache_tier'] ?? null];
  const missing = pool === null && tier === null ? 'bothy:cache_pool' : 'bothy:cache_gib';
  if ((pool === null && tier === null) || specs['bothy:cache_gib'] === undefined) {
    throw new CloudError('invalid', 'volume_type_cache_unfit', {
      key: missing,
      value: '',
      wanted: checks[missing]!.wanted,
    });
  }
  const bytes = Math.floor(Number(specs['bothy:cache_gib']) * gibBytes);
  const policy = (specs['bothy:cache_policy'] ?? 'write-back') as CachePolicy;
  return { pool, tier: tier as CacheWords['tier'], bytes, policy };
}

/** The words of both are the same: a volume may change from one to the other where it is. */
export const sameCache = (a: Specs, b: Specs): boolean =>
  JSON.stringify(cacheWords(a)) === JSON.stringify(cacheWords(b));
