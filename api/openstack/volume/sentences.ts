/** What Cinder says of each reason, word for word where clients look for it. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { ImageReasons } from '../../../control/image/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import type { StorageReasons } from '../../../control/storage/reasons.ts';
import { hostSentences, kitSentences } from '../common/sentences.ts';
import { imageSentences } from '../image/sentences.ts';

/** All that a call of this dialect may be refused for. */
export type CinderReasons = KitReasons & HostReasons & ImageReasons & StorageReasons;
type Some = Partial<SentenceTable<CinderReasons>>;

const volumeTypes = {
  volume_type_not_found: ({ id }) => `Volume type ${id} could not be found.`,
} satisfies Some;

const places = {
  layer_gone: () => 'What the volume was to be made of is gone.',
  no_pool: ({ why, fix }) => `No valid backend was found: ${why}. To help: ${fix}.`,
} satisfies Some;

export const storageSentences = {
  ...volumeTypes,
  ...places,
} satisfies SentenceTable<StorageReasons>;

export const cinderSentences: SentenceTable<CinderReasons> = {
  ...imageSentences,
  ...kitSentences,
  ...hostSentences,
  marker_not_found: ({ marker }) => `Marker ${marker} could not be found.`,
  quota_exceeded: quotaSentence,
  ...storageSentences,
};

/** What Cinder calls what we count. */
function quotaSentence({ resource, limit, used, wanted }: KitReasons['quota_exceeded']): string {
  const name = cinderResource[resource] ?? resource;
  if (resource.includes('gigabytes')) {
    return `Requested volume or snapshot exceeds allowed ${name} quota. Requested ${wanted}G, quota is ${limit}G and ${used}G has been consumed.`;
  }
  const what = resource.startsWith('volume_snapshots')
    ? 'snapshots'
    : resource.startsWith('backup')
      ? 'backups'
      : resource.startsWith('groups')
        ? 'groups'
        : 'volumes';
  return `Maximum number of ${what} allowed (${limit}) exceeded for quota '${name}'.`;
}

const cinderResource: Readonly<Record<string, string>> = {
  volume_gigabytes: 'gigabytes',
  volume_snapshots: 'snapshots',
};
