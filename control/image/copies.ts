/**
 * Copies of images on several hosts, so that the loss of one loses no image. Owns the copies that this process makes.
 *
 * A copy has a row before the first byte, and a lease; its host becomes a place of the image in the transaction that ends it. If this
 * process dies the lease runs out, the next look removes what came, and begins anew.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Logger } from 'pino';
import { type HostId, type ImageId, newId } from '../../contract/ids.ts';
import { endpointColumns, type HostClient, type HostEndpoint } from '../host/index.ts';
import { cloudActor, type Database, type Queryable, type Tx } from '../kit/database/database.ts';
import { type Due, enqueue } from '../kit/queue/queue.ts';
import { fileFormat } from './image.ts';
import type { ImageRow } from './tables.ts';
import type { ImageTransfer } from './transfer.ts';

const leaseMs = 30_000;
const renewMs = 10_000;
const deleteMs = 5000;
/** Copies of one process at a time: each is a stream through it, beside what people wait for. */
const maxRunning = 2;
const tryAgainMs = 5000;
const lookAgainMs = 60_000;
/** A host that is away for less is taken to come back. */
const patienceMinutes = 15;

export interface CopiesOptions {
  database: Database;
  client: HostClient;
  transfer: Pick<ImageTransfer, 'source'>;
  log: Logger;
  /** On how many hosts an image shall be, where there are as many. */
  copies: number;
}

export class ImageCopies {
  readonly #options: CopiesOptions;
  readonly #running = new Map<string, AbortController>();
  readonly #work = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const abort of this.#running.values()) abort.abort(new Error('the service is stopping'));
    await Promise.all(this.#work);
  }

  /** Breaks off what is being made of an image that shall be no more. */
  abandon(imageId: string): void {
    this.#running.get(imageId)?.abort(new Error('the image is deleted'));
  }

  /**
   * Removes what copies left that nobody carries on. Answers when to look again; undefined: nothing is left.
   * The image's bytes on a host that holds it are not touched.
   */
  async clean(imageId: ImageId): Promise<Due | undefined> {
    const { database, client, log } = this.#options;
    let again: Due | undefined;
    for (const copy of await copiesOf(database.query, imageId)) {
      if (!copy.expired) {
        again = { at: new Date(copy.deadline.getTime() + 1000) };
        continue;
      }
      const gone =
        copy.connected &&
        (await client.deleteImage(copy, imageId, { timeoutMs: deleteMs }).then(
          () => true,
          (err) => {
            log.warn({ err, imageId, hostId: copy.id }, 'image: a host could not remove a copy');
            return false;
          },
        ));
      if (gone) await forgetCopy(database.query, imageId, copy.copy_id);
      else again ??= { afterMs: lookAgainMs };
    }
    return again;
  }

  /**
   * Begins a copy where there are too few, and does not wait for it. Of bytes whose digest is not known there is none yet: it could
   * not be verified. Answers when to look again.
   */
  async ensure(imageId: ImageId): Promise<Due | undefined> {
    const again = await this.clean(imageId);
    if (this.#stopped || this.#options.copies < 2 || this.#running.has(imageId)) return again;
    if (this.#running.size >= maxRunning) return { afterMs: tryAgainMs };
    const abort = new AbortController();
    this.#running.set(imageId, abort);
    const begun = await this.#begin(imageId).catch((error) => {
      this.#running.delete(imageId);
      throw error;
    });
    if (!begun) {
      this.#running.delete(imageId);
      return again;
    }
    const work = this.#copy(begun, abort).finally(() => {
      this.#running.delete(imageId);
      this.#work.delete(work);
    });
    this.#work.add(work);
    return again;
  }

  /** Undefined where there are enough, or nobody could take one. */
  #begin(imageId: ImageId): Promise<Copy | undefined> {
    return this.#options.database.transaction(cloudActor, async (tx) => {
      const { rows } =
        await sql<ImageRow>`select * from image where id = ${imageId} and status in ('active', 'deactivated')
        and desired_presence = 'present' and sha256 is not null for update`.execute(tx);
      const [image] = rows;
      if (!image || (await held(tx, imageId)) >= this.#options.copies) return undefined;
      const host = await hostForCopy(tx, imageId);
      if (!host) return undefined;
      const copyId = newId();
      await sql`insert into image_copy (image_id, host_id, copy_id, deadline)
        values (${imageId}, ${host.id}, ${copyId}, ${deadline})`.execute(tx);
      return { copyId, image, host };
    });
  }

  async #copy({ copyId, image, host }: Copy, abort: AbortController): Promise<void> {
    const { database, client, transfer, log } = this.#options;
    const imageId = image.id as ImageId;
    const fields = { imageId, hostId: host.id };
    const renewing = setInterval(() => {
      renew(database.query, copyId).then(
        (held) => held || abort.abort(new Error('the lease has run out')),
        (err) => log.warn({ ...fields, err }, 'image: the lease of a copy could not be renewed'),
      );
    }, renewMs).unref();
    try {
      const { bytes, sizeBytes } = await transfer.source(image);
      bytes.on('error', () => {}); // the host's client hears of it
      const format = fileFormat({ ...image, disk_format: image.disk_format! });
      const options = { format, maxBytes: image.size_bytes!, sizeBytes, signal: abort.signal };
      const { sha256 } = await client.putImage(host, imageId, bytes, options).finally(() => bytes.destroy());
      if (sha256 !== image.sha256) throw new Error('the copy has other bytes than the image');
      if (!(await finishCopy(database, imageId, copyId)))
        throw new Error('the image is no more, or the lease has run out');
      log.info(fields, 'image: copied to a further host');
    } catch (err) {
      log.warn({ ...fields, err }, 'image: a copy was not made');
      await giveUp(database, imageId, copyId).catch(() => {}); // its lease will run out
    } finally {
      clearInterval(renewing);
    }
  }
}

interface Copy {
  copyId: string;
  image: ImageRow;
  host: HostEndpoint;
}

/** The host is connected, or will be in a moment, and nobody says that it is down. */
const isThere = (host: RawBuilder<unknown>) =>
  sql`(not ${host}.forced_down and (${host}.connected or ${host}.last_seen_at > now() - make_interval(mins => ${patienceMinutes})))`;

const deadline = sql`now() + ${leaseMs}::double precision * interval '1 millisecond'`;

interface CopyState extends HostEndpoint {
  copy_id: string;
  deadline: Date;
  expired: boolean;
  connected: boolean;
}

async function copiesOf(db: Queryable, imageId: string): Promise<CopyState[]> {
  const { rows } =
    await sql<CopyState>`select ${endpointColumns}, host.connected, copy_id, deadline, deadline < now() as expired
    from image_copy join host on host.id = host_id where image_id = ${imageId}`.execute(db);
  return rows;
}

const forgetCopy = (db: Queryable, imageId: string, copyId: string) =>
  sql`delete from image_copy where image_id = ${imageId} and copy_id = ${copyId}`.execute(db);

/** Hosts that have the image and are there, or will be in a moment, and those to which it is on its way. */
async function held(tx: Tx, imageId: string): Promise<number> {
  const { rows } = await sql<{ held: number }>`select
    (select count(*) from image_location join host on host.id = host_id where image_id = ${imageId}
      and ${isThere(sql`host`)})
    + (select count(*) from image_copy where image_id = ${imageId} and deadline > now()) as held`.execute(tx);
  return Number(rows[0]!.held);
}

/** With the fewest images first. */
async function hostForCopy(tx: Tx, imageId: string): Promise<HostEndpoint | undefined> {
  const { rows } =
    await sql<HostEndpoint>`select ${endpointColumns} from host where connected and enabled and not forced_down
    and not exists (select from image_location l where l.image_id = ${imageId} and l.host_id = host.id)
    and not exists (select from image_copy c where c.image_id = ${imageId} and c.host_id = host.id)
    order by (select count(*) from image_location l where l.host_id = host.id), random() limit 1`.execute(tx);
  return rows[0];
}

/** False when it has run out: then somebody may be removing the bytes. */
async function renew(db: Queryable, copyId: string): Promise<boolean> {
  const { rows } = await sql`update image_copy set deadline = ${deadline} where copy_id = ${copyId} and deadline > now()
    returning copy_id`.execute(db);
  return rows.length === 1;
}

/** False where the image is to go, or the lease has run out: then the bytes may go at this moment. */
function finishCopy(database: Database, imageId: ImageId, copyId: string): Promise<boolean> {
  return database.transaction(cloudActor, async (tx) => {
    const { rows } = await sql`with copy as (delete from image_copy where image_id = ${imageId} and copy_id = ${copyId}
        and deadline > now() and exists (select from image where id = ${imageId} and desired_presence = 'present') returning host_id)
      insert into image_location (image_id, host_id) select ${imageId}, host_id from copy
      on conflict do nothing returning host_id`.execute(tx);
    // Whether one more is wanted.
    await enqueue(tx, 'image', imageId);
    return rows.length === 1;
  });
}

/** The next look removes what came, and chooses again. */
async function giveUp(database: Database, imageId: ImageId, copyId: string): Promise<void> {
  await database.transaction(cloudActor, async (tx) => {
    await sql`update image_copy set deadline = now() where copy_id = ${copyId}`.execute(tx);
    await enqueue(tx, 'image', imageId, { afterMs: tryAgainMs });
  });
}

/** Images of which there are too few copies; and those with what a copy left on this host. */
export async function imagesToCopy(
  db: Queryable,
  hostId: HostId | undefined,
  copies: number,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select image_id as id from image_copy where host_id = ${hostId ?? null}::uuid and deadline < now()
    union select id from (
      select id from image where ${copies} > 1 and status in ('active', 'deactivated') and desired_presence = 'present'
        and size_bytes > 0 and (select count(*) from image_location l join host h on h.id = l.host_id where l.image_id = image.id
          and ${isThere(sql`h`)}) < ${copies}
      limit ${limit}) few`.execute(db);
  return rows.map(({ id }) => id);
}
