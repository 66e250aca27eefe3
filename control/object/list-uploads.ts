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

const few = 8;

export async function listUploads(
  db: Queryable,
  containerId: string,
  wish: UploadListWish & { limit: number },
): Promise<Listed<UploadInfo>> {
  const { prefix = '', marker = '', uploadMarker, limit } = wish;
  const entries: (UploadInfo | { prefix: string })[] = [];
  const end = successor(prefix) ?? null;
  let from = [marker, marker === '' ? noId : uploadMarker === undefined ? lastId : (parseId(uploadMarker) ?? noId)];
  // Behind each prefix the listing begins anew: what was read beyond it was read for nothing.
  let most = wish.delimiter ? few : limit + 1;
  while (entries.length <= limit) {
    const asked = Math.min(limit + 1 - entries.length, most);
    const rows = await run<UploadInfo>(db, text, [containerId, prefix, prefix === '' ? null : end, ...from, asked]);
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
    if (skipped === undefined) {
      const last = rows.at(-1);
      if (!last || rows.length < asked) break;
      most *= 4;
      from = [last.name, last.uploadId];
      continue;
    }
    const next = successor(skipped);
    if (next === undefined) break;
    most = few;
    from = [next, noId];
  }
  return { entries: entries.slice(0, limit), more: entries.length > limit };
}
