/**
 * Volumes that one project gives to another: who has the transfer's id and its key takes the volume, in one transaction with both quotas.
 * The key is told once, when the transfer is made; a digest is kept. A transfer lives until the volume is accepted or the giver takes it back.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { type Listing, type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { recordOperation } from '../../kit/operation/operations.ts';
import { notFound } from '../../kit/refusal.ts';
import {
  changeVolume,
  lockVolume,
  onLockedVolume,
  requireStatus,
  requireTypeQuota,
  requireVolumeQuota,
  snapshotStatusSql,
  typesAreLimited,
} from '../volume/index.ts';
import { holdTypeOf } from '../volume-type/index.ts';
import type { VolumeTransferTable } from './tables.ts';

export type TransferRow = Omit<Selectable<VolumeTransferTable>, 'key_salt' | 'key_digest'>;

export interface TransferWish {
  volumeId: string;
  name: string;
  /** They go along; else they stay with whoever gives the volume away. */
  withSnapshots: boolean;
  /** An encrypted one may go, too: earlier clients expect that it is refused. Its key stays what it is, for keys are nobody's here. */
  encrypted: boolean;
}

const shown = sql<TransferRow>`t.id, t.project_id, t.volume_id, t.name, t.with_snapshots, t.generation, t.created_at, t.updated_at`;

const listing: Listing<TransferRow> = {
  noun: 'volume_transfer',
  select: shown,
  from: sql`volume_transfer t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid' },
    volume_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
  visible: (caller) =>
    isAdmin(caller) ? sql`true` : sql`t.project_id = ${requireProject(caller, 'see transfers')}::uuid`,
};

export class TransferService {
  readonly #database: Database;

  constructor({ database }: { database: Database }) {
    this.#database = database;
  }

  /** @param options.allProjects administrators; others get their own, as in Cinder */
  list(caller: Caller, query: ListQuery, options: { allProjects: boolean }): Promise<TransferRow[]> {
    const filters = [...(query.filters ?? [])];
    if (!options.allProjects || !isAdmin(caller)) {
      filters.push({ column: 'project_id', values: [requireProject(caller, 'list transfers')] });
    }
    return listRows(this.#database.query, caller, listing, { ...query, filters });
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  get(caller: Caller, id: string): Promise<TransferRow> {
    if (parseId(id) === undefined) throw notFound('volume_transfer', id);
    return readRow(this.#database.query, caller, listing, id);
  }

  /**
   * From now on the volume awaits its transfer. @returns the key with it, which nobody is told again
   * @throws CloudError `not_found`, `forbidden`; `invalid` where the volume is not available, or a snapshot that would go along
   */
  async create(caller: Caller, wish: TransferWish): Promise<{ transfer: TransferRow; key: string }> {
    const [id, key, salt] = [newId(), randomBytes(8).toString('hex'), randomBytes(16).toString('hex')];
    await onLockedVolume(
      { database: this.#database },
      caller,
      wish.volumeId,
      'transfer a volume',
      async (tx, volume) => {
        requireStatus(volume, 'transfer', ['available']);
        if (volume.key_id !== null && !wish.encrypted)
          throw new CloudError('invalid', 'volume_encrypted', { id: volume.id, call: 'transfer' });
        if (volume.group_id !== null)
          throw new CloudError('invalid', 'volume_in_the_way', { id: volume.id, why: 'group' });
        if (wish.withSnapshots) await requireGivable(tx, volume.id);
        await sql`insert into volume_transfer (id, project_id, volume_id, name, key_salt, key_digest, with_snapshots)
        values (${id}, ${volume.project_id}, ${volume.id}, ${wish.name}, ${salt}, ${digestOf(key, salt)}, ${wish.withSnapshots})`.execute(
          tx,
        );
        await changeVolume(tx, volume.id, { task: { kind: 'transfer', transfer_id: id } });
        await record(tx, caller, volume, 'transfer');
      },
    );
    return { transfer: await this.get(caller, id), key };
  }

  /**
   * The volume is the caller's project's from now on, with its snapshots where that was said.
   * @throws CloudError `not_found`; `invalid` where the key is another or the volume does not await this; `quota_exceeded`
   */
  async accept(caller: Caller, id: string, key: string): Promise<TransferRow> {
    const projectId = requireProject(caller, 'accept a transfer');
    requireProjectMember(caller, 'accept a transfer');
    if (parseId(id) === undefined) throw notFound('volume_transfer', id);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      // Whoever changes the volume holds its lock, and takes it before the transfer's.
      const { rows } = await sql<{ volume_id: string }>`select volume_id from volume_transfer where id = ${id}`.execute(
        tx,
      );
      if (!rows[0]) throw notFound('volume_transfer', id);
      const volume = await lockVolume(tx, 'all', rows[0].volume_id);
      const transfer = await tx.selectFrom('volume_transfer').selectAll().where('id', '=', id).executeTakeFirst();
      if (!transfer) throw notFound('volume_transfer', id);
      if (!isKey(key, transfer)) throw new CloudError('invalid', 'volume_transfer_key_wrong', { id });
      requireStatus(volume, 'accept_transfer', ['awaiting-transfer']);
      if (projectId !== volume.project_id) await handOver(tx, caller, { volume, transfer, projectId });
      await sql`delete from volume_transfer where id = ${id}`.execute(tx);
      await changeVolume(tx, volume.id, { task: null });
      await record(tx, caller, { ...volume, project_id: projectId }, 'acceptTransfer');
      const { key_salt: _, key_digest: __, ...row } = transfer;
      return row;
    });
  }

  /** The volume stays where it is. @throws CloudError `not_found`, `forbidden` */
  async delete(caller: Caller, id: string): Promise<void> {
    const { volume_id } = await this.get(caller, id);
    await onLockedVolume({ database: this.#database }, caller, volume_id, 'take a volume back', async (tx, volume) => {
      const { numAffectedRows } = await sql`delete from volume_transfer where id = ${id}`.execute(tx);
      if (numAffectedRows === 0n) throw notFound('volume_transfer', id);
      const { desired_task: task } = volume;
      if (task?.kind === 'transfer' && task.transfer_id === id) await changeVolume(tx, volume.id, { task: null });
      await record(tx, caller, volume, 'deleteTransfer');
    });
  }
}

/** @throws CloudError `invalid` for snapshots that are not complete, or are part of what stays here */
async function requireGivable(tx: Tx, volumeId: string): Promise<void> {
  const { rows } = await sql<{ id: string; grouped: boolean; status: string }>`
    select s.id, s.group_snapshot_id is not null as grouped, ${snapshotStatusSql} as status
    from volume_snapshot s join volume v on v.id = s.volume_id where s.volume_id = ${volumeId}`.execute(tx);
  for (const { id, grouped, status } of rows) {
    if (grouped) throw new CloudError('invalid', 'snapshot_of_group', { id });
    if (status === 'available') continue;
    throw new CloudError('invalid', 'snapshot_status_unfit', { id, status, wanted: ['available'] });
  }
}

const digestOf = (key: string, salt: string): string => createHmac('sha256', salt).update(key).digest('hex');

const isKey = (key: string, { key_salt, key_digest }: Pick<VolumeTransferTable, 'key_salt' | 'key_digest'>): boolean =>
  timingSafeEqual(Buffer.from(digestOf(key, key_salt), 'hex'), Buffer.from(key_digest, 'hex'));

type Given = Awaited<ReturnType<typeof lockVolume>>;

async function handOver(
  tx: Tx,
  caller: Caller,
  { volume, transfer, projectId }: { volume: Given; transfer: Selectable<VolumeTransferTable>; projectId: string },
): Promise<void> {
  const type = await holdTypeOf(tx, projectId, volume.volume_type_id);
  const { rows } = await sql<{
    count: number;
    gib: number;
  }>`select count(*)::integer as count, coalesce(sum(size_gib), 0)::integer as gib
    from volume_snapshot where volume_id = ${volume.id} and consumes_quota and ${transfer.with_snapshots}`.execute(tx);
  const snapshots = rows[0]!;
  if (volume.consumes_quota) {
    const wish = {
      volumes: 1,
      gigabytes: volume.size_gib + snapshots.gib,
      snapshots: snapshots.count,
      each: volume.size_gib,
    };
    await requireVolumeQuota(tx, projectId, wish);
    if (await typesAreLimited(tx)) await requireTypeQuota(tx, projectId, type, wish);
  }
  const owner = sql`project_id = ${projectId}, user_id = ${caller.userId}, updated_at = now()`;
  await sql`update volume set ${owner} where id = ${volume.id}`.execute(tx);
  if (transfer.with_snapshots)
    await sql`update volume_snapshot set ${owner} where volume_id = ${volume.id}`.execute(tx);
}

const record = (tx: Tx, caller: Caller, volume: Pick<Given, 'id' | 'project_id' | 'generation'>, verb: string) =>
  recordOperation(tx, actorOf(caller), {
    ...{ projectId: volume.project_id, resourceType: 'volume', resourceId: volume.id, verb },
    generation: volume.generation,
  });
