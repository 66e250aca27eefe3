/** Uploads that are not complete, in the order of names and of their beginnings. */
import { parseId } from '../../contract/ids.ts';
import type { Queryable } from '../kit/database/database.ts';
import { commonPrefix, successor } from './names.ts';
import type { Listed, ListWish, UploadInfo } from './object.ts';
import { run } from './statements.ts';

export interface UploadListWish extends Pick<ListWish, 'prefix' | 'delimiter' | 'marker' | 'limit'> {
  /** With `marker`: those of that name behind this one, then the next names. */
  uploadMarker?: string | undefined;
}

const text = `select id as "uploadId", name, wish, initiator_id as "initiatorId", created_at as "createdAt" from object_upload
  where container_id = $1 and name >= $2 and ($3::text is null or name < $3) and (name, id) > ($4, $5::uuid) order by name, id limit $6`;
const [noId, lastId] = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];

export async function listUploads(
  db: Queryable,
  containerId: string,
  wish: UploadListWish & { limit: number },
): Promise<Listed<UploadInfo>> {
  const { prefix = '', marker = '', uploadMarker, limit } = wish;
  const entries: (UploadInfo | { prefix: string })[] = [];
  const end = successor(prefix) ?? null;
  let from = [marker, marker === '' ? noId : uploadMarker === undefined ? lastId : (parseId(uploadMarker) ?? noId)];
  while (entries.length <= limit) {
    const rows = await run<UploadInfo>(db, text, [containerId, prefix, prefix === '' ? null : end, ...from, limit + 1]);
    let skipped: string | undefined;
    for (const row of rows) {
      const common = commonPrefix(row.name, wish);
      if (common !== undefined) {
        if (common !== marker) entries.push({ prefix: common });
        skipped = common;
        break;
      }
      entries.push(row);
    }
    const next = skipped === undefined ? undefined : successor(skipped);
    if (next === undefined) break;
    from = [next, noId];
  }
  return { entries: entries.slice(0, limit), more: entries.length > limit };
}
