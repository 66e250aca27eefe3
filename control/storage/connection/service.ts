/**
 * Attachments by Cinder's own API: somebody beside this cloud's servers reserves a volume, says that it has it, and gives it back. The
 * rows are those that servers have (../attachment); whose server it is nobody else ends it for, since its guest would go on writing.
 * No host lets another machine to a local volume, so there is no connection to be had, and that is said.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import { type Caller, isAdmin, requireAdmin, requireProject } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { wakeOf } from '../attachment/index.ts';
import { changeVolume, type ListedVolume, onLockedVolume, requireStatus } from '../volume/index.ts';
import { attachmentListing, type ShownAttachment } from './listing.ts';

export interface ForeignAttachment {
  /** What the other side calls its machine. */
  serverId: string | null;
  hostName: string | null;
  device: string | null;
  mode: 'rw' | 'ro';
}

export class ConnectionService {
  readonly #database: Database;

  constructor({ database }: { database: Database }) {
    this.#database = database;
  }

  /** @param options.allProjects administrators; others get their own, as in Cinder */
  list(caller: Caller, query: ListQuery, options: { allProjects: boolean }): Promise<ShownAttachment[]> {
    const filters = [...(query.filters ?? [])];
    if (!options.allProjects || !isAdmin(caller)) {
      filters.push({ column: 'project_id', values: [requireProject(caller, 'list attachments')] });
    }
    return listRows(this.#database.query, caller, attachmentListing, { ...query, filters });
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  get(caller: Caller, id: string): Promise<ShownAttachment> {
    if (parseId(id) === undefined) throw notFound('attachment', id);
    return readRow(this.#database.query, caller, attachmentListing, id);
  }

  /**
   * Keeps the volume for somebody.
   * @param wish.begun it is said to be attaching from now on, as the older call has it
   * @throws CloudError `not_found`, `forbidden`; `invalid` where it is not available
   */
  reserve(
    caller: Caller,
    volumeId: string,
    wish: { serverId: string | null; mode: 'rw' | 'ro'; begun: boolean },
  ): Promise<string> {
    return this.#onVolume(caller, volumeId, 'reserve a volume', async (tx, volume) => {
      requireStatus(volume, 'attach', ['available']);
      requireMode(volume, wish.mode);
      return insert(tx, volume, { ...wish, hostName: null, device: null, done: false });
    });
  }

  /** What is kept and not had yet is free again; anything else stays as it is. */
  async unreserve(caller: Caller, volumeId: string): Promise<void> {
    await this.#onVolume(caller, volumeId, 'free a volume', async (tx, volume) => {
      await free(tx, sql`volume_id = ${volume.id} and server_id is null and completed_at is null`);
    });
  }

  /** The other side says that it has the volume. @throws CloudError `invalid` where somebody else does */
  async attach(caller: Caller, volumeId: string, wish: ForeignAttachment): Promise<void> {
    await this.#onVolume(caller, volumeId, 'attach a volume', async (tx, volume) => {
      requireForeign(volume);
      requireStatus(volume, 'attach', ['available', 'reserved', 'attaching']);
      requireMode(volume, wish.mode);
      await sql`delete from volume_attachment where volume_id = ${volume.id} and server_id is null`.execute(tx);
      await insert(tx, volume, { ...wish, begun: true, done: true });
    });
  }

  /** @param options.force administrators: whatever its status, which is taken back too */
  async detach(caller: Caller, volumeId: string, options: { force: boolean }): Promise<void> {
    await this.#onVolume(caller, volumeId, 'detach a volume', async (tx, volume) => {
      if (options.force) requireAdmin(caller, 'force the detachment of a volume');
      requireForeign(volume);
      await free(tx, sql`volume_id = ${volume.id} and server_id is null`);
      if (options.force && volume.fault) await changeVolume(tx, volume.id, { fault: null });
    });
  }

  /** It is about to be given back, or is not after all. @throws CloudError `invalid` where nobody has it */
  async setDetaching(caller: Caller, volumeId: string, detaching: boolean): Promise<void> {
    await this.#onVolume(caller, volumeId, 'detach a volume', async (tx, volume) => {
      requireForeign(volume);
      if (detaching) requireStatus(volume, 'detach', ['in-use']);
      await sql`update volume_attachment set desired_presence = ${detaching ? 'absent' : 'present'}, updated_at = now()
        where volume_id = ${volume.id} and server_id is null and completed_at is not null`.execute(tx);
    });
  }

  /** The way to the volume for another machine: there is none. @throws CloudError `invalid` */
  async connect(caller: Caller, volumeId: string): Promise<never> {
    return this.#onVolume(caller, volumeId, 'connect to a volume', async (_tx, volume) => {
      throw new CloudError('invalid', 'volume_not_exported', { id: volume.id });
    });
  }

  /** There is nothing to be ended, but the volume must be there. */
  async disconnect(caller: Caller, volumeId: string): Promise<void> {
    await this.#onVolume(caller, volumeId, 'end a connection to a volume', async () => {});
  }

  /** The same by the attachment's id. @throws CloudError `not_found`, `conflict` for a server's of this cloud */
  async complete(caller: Caller, id: string): Promise<void> {
    await this.#onAttachment(caller, id, async (tx) => {
      await sql`update volume_attachment set completed_at = coalesce(completed_at, now()), updated_at = now()
        where id = ${id}`.execute(tx);
    });
  }

  async remove(caller: Caller, id: string): Promise<void> {
    await this.#onAttachment(caller, id, (tx) => free(tx, sql`id = ${id}`));
  }

  async #onAttachment(caller: Caller, id: string, work: (tx: Tx) => Promise<void>): Promise<void> {
    const { volume_id: volumeId } = await this.get(caller, id);
    await this.#onVolume(caller, volumeId, 'change an attachment', async (tx, volume) => {
      if (volume.attachment?.id !== id) throw notFound('attachment', id);
      requireForeign(volume);
      await work(tx);
    });
  }

  #onVolume<T>(
    caller: Caller,
    id: string,
    doing: string,
    work: (tx: Tx, volume: ListedVolume) => Promise<T>,
  ): Promise<T> {
    return onLockedVolume({ database: this.#database }, caller, id, doing, work);
  }
}

/** @throws CloudError `conflict` */
function requireForeign({ attachment }: ListedVolume): void {
  if (!attachment?.server_id) return;
  throw new CloudError('conflict', 'attachment_of_server', { id: attachment.id, server: attachment.server_id });
}

function requireMode({ id, read_only }: ListedVolume, mode: 'rw' | 'ro'): void {
  if (read_only && mode === 'rw') throw new CloudError('invalid', 'volume_read_only', { id });
}

async function insert(
  tx: Tx,
  volume: ListedVolume,
  wish: ForeignAttachment & { begun: boolean; done: boolean },
): Promise<string> {
  const id = newId();
  const connector = wish.begun ? { ...(wish.hostName !== null && { host: wish.hostName }) } : null;
  await sql`insert into volume_attachment (id, project_id, volume_id, named_server_id, mode, device, connector, completed_at)
    values (${id}, ${volume.project_id}, ${volume.id}, ${wish.serverId}::uuid, ${wish.mode}, ${wish.device},
      ${connector && json(connector)}::jsonb, case when ${wish.done} then now() end)`.execute(tx);
  return id;
}

async function free(tx: Tx, which: ReturnType<typeof sql>): Promise<void> {
  await sql`with gone as (delete from volume_attachment where ${which} returning volume_id)
    ${wakeOf(sql`gone`)}`.execute(tx);
}
