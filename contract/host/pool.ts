/** A storage pool that administrators declare by API, beside those of the host's settings, which go before it where they have its name. */
import type { Static } from 'typebox';
import { integer, object, oneOf, optional, text } from '../schema/type.ts';
import { poolName } from './layer.ts';
import { layerLimits as limits } from './limits.ts';

export const poolTiers = ['ram', 'flash', 'disk'] as const;
export const declaredPoolKinds = ['directory', 'file-system', 'block-device'] as const;

export const declaredPool = object({
  name: poolName,
  tier: oneOf(...poolTiers),
  kind: oneOf(...declaredPoolKinds),
  /** A path, from the root on; of a file system also UUID=… or LABEL=… */
  source: text(limits.poolPathLength, { pattern: '^(/|UUID=|LABEL=)[^\\u0000]*$' }),
  /** So many reads and writes a second the cache of one volume may ask it for. Absent: as many as it gives. */
  iopsPerVolume: optional(integer(1, 9_999_999)),
});
export type DeclaredPool = Static<typeof declaredPool>;
