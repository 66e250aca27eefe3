/**
 * What a volume type says of a second place: `replication_enabled='<is> True'`, as in Cinder, and how old that may be, in seconds:
 * `bothy:replication_rpo_seconds`. `replication_type='<in> sync'` asks for a second copy that each write waits for (docs/decisions/0019-second-copy.md), `<in> async`, and who says
 * nothing, for rounds alone: Cinder's word, too. Pure.
 */
import { CloudError } from '../../../contract/errors.ts';

type Specs = Readonly<Record<string, string>>;

export interface ReplicationWords {
  /** The replica shall never be older. */
  rpoSeconds: number;
  /** Each write waits for it. */
  synchronous: boolean;
}

export const rpoKey = 'bothy:replication_rpo_seconds';
const enabledKey = 'replication_enabled';
const replicationTypeKey = 'replication_type';
/** Where the type does not say. */
const defaultRpoSeconds = 300;
/** A round takes seconds, however little was written: a guest is switched over, a file is sent. */
const leastRpoSeconds = 10;
const longestRpoSeconds = 7 * 86_400;

/** @throws CloudError `invalid` for an age that no replica can keep to, a way of replication that there is not, and a second copy together with a cache */
export function requireReplicationWords(specs: Specs): void {
  requireReplicationType(specs);
  const value = specs[rpoKey];
  if (value === undefined || isRpo(value)) return;
  const wanted = `a number of seconds from ${leastRpoSeconds} to ${longestRpoSeconds}`;
  throw new CloudError('invalid', 'volume_type_word_unfit', { key: rpoKey, value, wanted });
}

function requireReplicationType(specs: Specs): void {
  const value = specs[replicationTypeKey];
  if (value === undefined || /^<in>\s*async$/.test(value.trim())) return;
  const refuse = (wanted: string) =>
    new CloudError('invalid', 'volume_type_word_unfit', { key: replicationTypeKey, value, wanted });
  if (!isSynchronous(specs)) throw refuse('<in> async or <in> sync');
  const cached = Object.keys(specs).some((key) => key.startsWith('bothy:cache_'));
  if (cached) throw refuse('<in> async, or a type without a cache: what is in one has no second copy');
}

const isSynchronous = (specs: Specs): boolean => /^<in>\s*sync$/.test((specs[replicationTypeKey] ?? '').trim());

const isRpo = (value: string): boolean =>
  /^\d{1,7}$/.test(value) && Number(value) >= leastRpoSeconds && Number(value) <= longestRpoSeconds;

/** Null: its volumes have one place. @throws CloudError as {@link requireReplicationWords} */
export function replicationWords(specs: Specs): ReplicationWords | null {
  requireReplicationWords(specs);
  if (!/^<is>\s*(true|t|yes|y|on|1)$/i.test((specs[enabledKey] ?? '').trim())) return null;
  return { rpoSeconds: Number(specs[rpoKey] ?? defaultRpoSeconds), synchronous: isSynchronous(specs) };
}
