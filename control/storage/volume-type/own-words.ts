/** The keys of a type's extra specs that are Bothy's own begin with `bothy:`. What is misspelt there would be found by a volume in error only. Pure. */
import { CloudError } from '../../../contract/errors.ts';
import { poolTiers } from '../../../contract/host/index.ts';
import { cacheKeys, requireCacheWords } from './cache-words.ts';
import { requireReplicationWords, rpoKey } from './replication-words.ts';

const prefix = 'bothy:';
const tierKey = 'bothy:tier';
/** An administrator's own words on what volumes of the type may lose: any text. */
const wordsKey = 'bothy:durability';

/** A tier, or an operator of Cinder's capability filter before its operands: `<or> ram <or> flash`, `s!= ram`. */
function namesTier(value: string): boolean {
  const [operator = '', ...rest] = value.trim().split(/\s+/);
  const operands = rest.filter((word) => word !== operator);
  if (/^(<(or|in|is)>|s?[!=<>]=?|s==)$/.test(operator)) return operands.length > 0;
  return rest.length === 0 && isTier(operator);
}

const isTier = (word: string): boolean => poolTiers.some((tier) => tier === word);

/**
 * What stood there `before` this was checked may stay, so that it can be taken out key by key.
 * @throws CloudError `invalid` for a key of ours that is none, a tier that no pool can have, and what no cache can be, by name
 */
export function requireOwnWords(
  specs: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>> = {},
): void {
  requireCacheWords(specs);
  requireReplicationWords(specs);
  for (const [key, value] of Object.entries(specs)) {
    if (
      !key.startsWith(prefix) ||
      cacheKeys.includes(key) ||
      key === wordsKey ||
      key === rpoKey ||
      before[key] === value
    )
      continue;
    if (key !== tierKey) refuse(key, value, `one of ${[tierKey, ...cacheKeys, wordsKey, rpoKey].join(', ')}`);
    if (!namesTier(value)) refuse(key, value, poolTiers.join(' or '));
  }
}

function refuse(key: string, value: string, wanted: string): never {
  throw new CloudError('invalid', 'volume_type_word_unfit', { key, value, wanted });
}
