/**
 * The digests of images that became active without them: what a host made of a disk, and what was taken in before all three were kept.
 * Asks a host that holds the bytes, which finds them in its own time, until it says. Owns nothing but the three columns: if this process
 * dies the next look asks again.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { ImageDigests as Answer } from '../../contract/host/index.ts';
import type { HostId, ImageId } from '../../contract/ids.ts';
import type { HostClient } from '../host/index.ts';
import { cloudActor, type Database, type Queryable } from '../kit/database/database.ts';
import { type Due, enqueue } from '../kit/queue/queue.ts';
import { locationsOf } from './store.ts';

/** The wait grows with what was waited already: a host reads a gigabyte in seconds, and a terabyte in half an hour. */
const [firstMs, longestMs] = [500, 30_000];

const lacking = sql`sha512 is null and size_bytes is not null and status in ('active', 'deactivated') and desired_presence = 'present'`;

export class ImageDigests {
  readonly #options: { database: Database; client: Pick<HostClient, 'imageDigests'>; log: Logger };

  constructor(options: { database: Database; client: Pick<HostClient, 'imageDigests'>; log: Logger }) {
    this.#options = options;
  }

  /** Answers when to look again; undefined where nothing is missing, or no host that is there can say. */
  async ensure(imageId: ImageId): Promise<Due | undefined> {
    const { database, client, log } = this.#options;
    const { rows } = await sql<{ age_ms: number }>`
      select extract(epoch from now() - created_at)::double precision * 1000 as age_ms from image where id = ${imageId} and ${lacking}`.execute(
      database.query,
    );
    if (!rows[0]) return undefined;
    for (const host of await locationsOf(database.query, imageId)) {
      if (!host.connected) continue;
      try {
        const answer = await client.imageDigests(host, imageId);
        if (!answer.digests) return { afterMs: waitMs(rows[0].age_ms) };
        if (await this.#keep(imageId, answer)) return undefined;
        log.error({ imageId, hostId: host.id }, 'image: a host has other bytes than the image');
      } catch (err) {
        log.warn({ err, imageId, hostId: host.id }, 'image: a host could not tell the digests');
      }
    }
    return undefined;
  }

  /** False where the bytes are not those that are known; an image that is gone, or whose digests came meanwhile, is done with. */
  #keep(imageId: ImageId, { sizeBytes, digests }: Answer): Promise<boolean> {
    const { md5, sha256, sha512 } = digests!;
    return this.#options.database.transaction(cloudActor, async (tx) => {
      const { rows } =
        await sql`update image set md5 = ${md5}, sha256 = ${sha256}, sha512 = ${sha512}, updated_at = now()
        where id = ${imageId} and ${lacking} and size_bytes = ${sizeBytes} and coalesce(sha256, ${sha256}) = ${sha256}
          and coalesce(md5, ${md5}) = ${md5}
        returning id`.execute(tx);
      if (!rows[0]) {
        const { rows: open } = await sql`select from image where id = ${imageId} and ${lacking}`.execute(tx);
        return open.length === 0;
      }
      // Copies may be made from now on; and servers have it whose hosts wait for it.
      await enqueue(tx, 'image', imageId);
      await enqueue(tx, 'image_digest', imageId);
      return true;
    });
  }
}

const waitMs = (ageMs: number): number => Math.min(longestMs, Math.max(firstMs, ageMs / 4));

/** For a host's return those that it holds; now and then those on any host that is there. */
export async function imagesWithoutDigests(
  db: Queryable,
  hostId: HostId | undefined,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from image where ${lacking}
    and exists (select from image_location l join host h on h.id = l.host_id where l.image_id = image.id and h.connected
      and h.id = coalesce(${hostId ?? null}::uuid, h.id))
    limit ${limit}`.execute(db);
  return rows.map(({ id }) => id);
}
