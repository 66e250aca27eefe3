/**
 * Attachments by Cinder's own API: somebody beside this cloud's servers reserves a volume, connects a machine of its own to it, says that it has
 * it, and gives it back. The rows are those that servers have (../attachment); whose server it is nobody else ends it for, since its guest
 * would go on writing.
 *
 * Who asks for a way to a volume, or ends one, waits here for the volume's host, as Cinder's callers do: the answer is the way itself. All is
 * written down first, so if the process dies meanwhile, or the host takes too long, nothing is lost but the answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { ObservedExport } from '../../../contract/host/index.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import type { Sealer } from '../../identity/index.ts';
import { type Caller, isAdmin, requireAdmin, requireProject } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { wakeOf } from '../attachment/index.ts';
import { endExport, exportSecret, exportUser } from '../export/index.ts';
import { changeVolume, type ListedVolume, onLockedVolume, requireStatus } from '../volume/index.ts';
import { connectAttachment, connectorOf, exportOf, isHostUp } from './connect.ts';
import { attachmentListing, type ShownAttachment } from './listing.ts';

export interface ForeignAttachment {
  /** What the other side calls its machine. */
  serverId: string | null;
  hostName: string | null;
  device: string | null;
  mode: 'rw' | 'ro';
}

/** How a machine outside reaches the volume. */
export interface IscsiConnection extends Omit<ObservedExport, 'id'> {
  user: string;
  secret: string;
}

export type FoundAttachment = ShownAttachment & {
  /** Null: there is none (yet), or the caller may not connect to volumes. */
  connection: IscsiConnection | null;
};

export interface ConnectionOptions {
  database: Database;
  /** Of the secrets of exports. */
  sealer: Pick<Sealer, 'seal' | 'open'>;
  /** How long a caller waits for the volume's host. */
  patienceMs?: number;
}

/** What another machine says of itself, not looked at yet. */
type Said = Readonly<Record<string, unknown>>;

const defaultPatienceMs = 30_000;
const [firstGlanceMs, lastGlanceMs] = [30, 500];

export class ConnectionService {
  readonly #database: Database;
  readonly #sealer: ConnectionOptions['sealer'];
  readonly #patienceMs: number;

  constructor({ database, sealer, patienceMs = defaultPatienceMs }: ConnectionOptions) {
    this.#database = database;
    this.#sealer = sealer;
    this.#patienceMs = patienceMs;
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
  async get(caller: Caller, id: string): Promise<FoundAttachment> {
    if (parseId(id) === undefined) throw notFound('attachment', id);
    const found = await readRow(this.#database.query, caller, attachmentListing, id);
    return { ...found, connection: mayConnect(caller) ? await this.#connectionOf(found) : null };
  }

  /**
   * Keeps the volume for somebody.
   * @param wish.mode null: as the volume may be used
   * @param wish.begun it is said to be attaching from now on, as the older call has it
   * @throws CloudError `not_found`, `forbidden`; `invalid` where it is not available
   */
  reserve(
    caller: Caller,
    volumeId: string,
    wish: { serverId: string | null; mode: 'rw' | 'ro' | null; begun: boolean },
  ): Promise<string> {
    return this.#onVolume(caller, volumeId, 'reserve a volume', async (tx, volume) => {
      requireStatus(volume, 'attach', ['available']);
      const mode = wish.mode ?? usualMode(volume);
      requireMode(volume, mode);
      return insert(tx, volume, { ...wish, mode, hostName: null, device: null, done: false });
    });
  }

  /** What is kept and not had yet is free again; anything else stays as it is. */
  async unreserve(caller: Caller, volumeId: string): Promise<void> {
    const id = await this.#onVolume(caller, volumeId, 'free a volume', async (tx, volume) => {
      const { attachment } = volume;
      return attachment && !attachment.server_id && !attachment.completed_at ? free(tx, volume) : undefined;
    });
    await this.#untilEnded(id);
  }

  /** The other side says that it has the volume. @throws CloudError `invalid` where somebody else does */
  async attach(caller: Caller, volumeId: string, wish: ForeignAttachment): Promise<void> {
    await this.#onVolume(caller, volumeId, 'attach a volume', async (tx, volume) => {
      requireForeign(volume);
      requireStatus(volume, 'attach', ['available', 'reserved', 'attaching']);
      requireMode(volume, wish.mode);
      const { attachment } = volume;
      if (attachment && (await exportOf(tx, attachment.id))) return tell(tx, attachment.id, wish);
      await sql`delete from volume_attachment where volume_id = ${volume.id} and server_id is null`.execute(tx);
      await insert(tx, volume, { ...wish, begun: true, done: true });
    });
  }

  /** @param options.force administrators: whatever its status, which is taken back too, and also where its host is away */
  async detach(caller: Caller, volumeId: string, options: { force: boolean }): Promise<void> {
    const ended = await this.#onVolume(caller, volumeId, 'detach a volume', async (tx, volume) => {
      if (options.force) requireAdmin(caller, 'force the detachment of a volume');
      requireForeign(volume);
      const id = await free(tx, volume);
      if (options.force && volume.fault) await changeVolume(tx, volume.id, { fault: null });
      if (!options.force || (await isHostUp(tx, volume.host_id))) return id;
      // When it comes back it ends what nobody shall have before it does anything else with the volume.
      await sql`delete from volume_attachment where volume_id = ${volume.id} and server_id is null`.execute(tx);
      return undefined;
    });
    await this.#untilEnded(ended);
  }

  /** It is about to be given back, or is not after all. @throws CloudError `invalid` where nobody has it */
  async setDetaching(caller: Caller, volumeId: string, detaching: boolean): Promise<void> {
    await this.#onVolume(caller, volumeId, 'detach a volume', async (tx, volume) => {
      requireForeign(volume);
      if (detaching) requireStatus(volume, 'detach', ['in-use']);
      await sql`update volume_attachment set desired_presence = ${detaching ? 'absent' : 'present'}, updated_at = now()
        where volume_id = ${volume.id} and server_id is null and completed_at is not null
          and not exists (select from volume_export x where x.attachment_id = volume_attachment.id and x.desired_presence = 'absent')`.execute(
        tx,
      );
    });
  }

  /**
   * The way to a volume for a machine outside; who has reserved it, or nobody, has it from now on.
   * @throws CloudError `invalid` where there is none, `conflict` where another one has it, `unavailable` where its host does not open it
   */
  async connect(
    caller: Caller,
    volumeId: string,
    said: Said,
    reservation: { serverId: string | null; mode: 'rw' | 'ro' | null } | null = null,
  ): Promise<FoundAttachment> {
    const made = await this.#onVolume(caller, volumeId, 'connect to a volume', async (tx, volume) => {
      requireForeign(volume);
      const connector = connectorOf(said);
      const statuses = reservation ? unreserved : connectable;
      requireStatus(volume, 'attach', statuses);
      const known = volume.attachment;
      const mode = connector.mode ?? known?.mode ?? reservation?.mode ?? usualMode(volume);
      requireMode(volume, mode);
      const wish = { serverId: reservation?.serverId ?? null, mode, begun: true, hostName: null, device: null };
      const id = known?.id ?? (await insert(tx, volume, { ...wish, done: false }));
      await connectAttachment(tx, this.#sealer, volume, id, { ...connector, mode });
      return { id, isNew: known === null };
    });
    return this.#connected(caller, volumeId, made);
  }

  /** The same of what is reserved. */
  async connectReserved(caller: Caller, id: string, said: Said): Promise<FoundAttachment> {
    const volumeId = await this.#onAttachment(caller, id, async (tx, volume) => {
      requireStatus(volume, 'attach', connectable);
      const connector = connectorOf(said);
      const mode = connector.mode ?? volume.attachment!.mode;
      requireMode(volume, mode);
      await connectAttachment(tx, this.#sealer, volume, id, { ...connector, mode });
      return volume.id;
    });
    return this.#connected(caller, volumeId, { id, isNew: false });
  }

  /** No machine outside has a way to the volume any more, and its attachment ends with that; a server's stays. */
  async disconnect(caller: Caller, volumeId: string): Promise<void> {
    const ended = await this.#onVolume(caller, volumeId, 'end a connection to a volume', async (tx, volume) => {
      const { attachment } = volume;
      return attachment && (await exportOf(tx, attachment.id)) ? free(tx, volume) : undefined;
    });
    await this.#untilEnded(ended);
  }

  /** The same by the attachment's id. @throws CloudError `not_found`, `conflict` for a server's of this cloud */
  async complete(caller: Caller, id: string): Promise<void> {
    await this.#onAttachment(caller, id, async (tx) => {
      await sql`update volume_attachment set completed_at = coalesce(completed_at, now()), updated_at = now()
        where id = ${id}`.execute(tx);
    });
  }

  async remove(caller: Caller, id: string): Promise<void> {
    await this.#untilEnded(await this.#onAttachment(caller, id, free));
  }

  /** @throws CloudError `unavailable` where its host does not open it in time: then nothing is left of what this call began */
  async #connected(
    caller: Caller,
    volumeId: string,
    { id, isNew }: { id: string; isNew: boolean },
  ): Promise<FoundAttachment> {
    const open = await this.#until(async () => (await this.get(caller, id)).observed_export !== null);
    if (open) return this.get(caller, id);
    if (isNew) await this.#onAttachment(caller, id, free);
    throw new CloudError('unavailable', 'volume_not_exported', { id: volumeId, why: 'late' });
  }

  /** Its host has ended the session. One that is away does it later, and the attachment says so. */
  async #untilEnded(id: string | undefined): Promise<void> {
    if (id === undefined) return;
    await this.#until(async () => {
      const { rows } = await sql<{
        up: boolean;
      }>`select h.connected and not h.forced_down as up from volume_attachment a
        join volume_export x on x.attachment_id = a.id join host h on h.id = x.host_id where a.id = ${id}`.execute(
        this.#database.query,
      );
      return !rows[0]?.up;
    });
  }

  /** @returns whether it came about in time */
  async #until(holds: () => Promise<boolean>): Promise<boolean> {
    const end = performance.now() + this.#patienceMs;
    for (let waitMs = firstGlanceMs; ; waitMs = Math.min(lastGlanceMs, waitMs * 1.5)) {
      if (await holds()) return true;
      if (performance.now() > end) return false;
      await sleep(waitMs);
    }
  }

  async #connectionOf({ id, observed_export: seen }: ShownAttachment): Promise<IscsiConnection | null> {
    if (!seen) return null;
    const { rows } = await sql<{ sealed: Buffer }>`select sealed from volume_export where attachment_id = ${id}
      and desired_presence = 'present'`.execute(this.#database.query);
    if (!rows[0]) return null;
    const { portal, iqn, lun } = seen;
    return { portal, iqn, lun, user: exportUser(id), secret: exportSecret(this.#sealer, id, rows[0].sealed) };
  }

  async #onAttachment<T>(caller: Caller, id: string, work: (tx: Tx, volume: ListedVolume) => Promise<T>): Promise<T> {
    const { volume_id: volumeId } = await this.get(caller, id);
    return this.#onVolume(caller, volumeId, 'change an attachment', async (tx, volume) => {
      if (volume.attachment?.id !== id) throw notFound('attachment', id);
      requireForeign(volume);
      return work(tx, volume);
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

const usualMode = ({ read_only }: ListedVolume): 'rw' | 'ro' => (read_only ? 'ro' : 'rw');

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

/** What another machine has; one that is let in loses it when its host says so. @returns the attachment that is waited for */
async function free(tx: Tx, volume: ListedVolume): Promise<string | undefined> {
  const { id, attachment } = volume;
  await endExport(tx, volume);
  await sql`with gone as (delete from volume_attachment a where volume_id = ${id} and server_id is null
      and not exists (select from volume_export x where x.attachment_id = a.id) returning volume_id)
    ${wakeOf(sql`gone`)}`.execute(tx);
  return attachment?.server_id ? undefined : attachment?.id;
}

/** The machine that was let in has the volume, it says. */
async function tell(tx: Tx, id: string, { serverId, hostName, device }: ForeignAttachment): Promise<void> {
  await sql`update volume_attachment set named_server_id = ${serverId}::uuid, device = ${device}, completed_at = now(), updated_at = now(),
      connector = connector || ${json(hostName === null ? {} : { host: hostName })}::jsonb where id = ${id}`.execute(
    tx,
  );
}

/** Whoever may change volumes may connect to them, and be told the secret. */
const mayConnect = (caller: Caller): boolean =>
  isAdmin(caller) || ['member', 'manager'].some((role) => caller.roles.has(role));

const unreserved = ['available'] as const;
const connectable = ['available', 'reserved', 'attaching', 'in-use'] as const;
