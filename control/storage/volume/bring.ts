/**
 * A server shall have a volume that lies on another host: it is brought to the server's host first, as one that goes there by itself (change-host.ts), with its
 * snapshots; then the server's host hears of it. Its attachment says so from the beginning (`target_host_id`): nobody else gets the volume, its place in the
 * machine is kept, and no host and no report is asked about it until it is there.
 *
 *   asked (its attachment, room there) → copying → there: the server's host plugs it
 *       └─ detached, its server goes, or is brought back elsewhere ─→ where it was, nobody's
 *
 * The row of its server is locked before the volume's by whoever begins, ends or looks at this (brought.ts). A server does not move meanwhile (carry.ts
 * refuses it by name); one that is shelved keeps the host, and finds the volume there. If the process dies the rows say where it was.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { copiedBytes } from '../layer/index.ts';
import { choosePool, placeOf, recordPoolChoice, seenLately } from '../pool/index.ts';
import { iopsOfType } from '../volume-type/index.ts';
import { dropBrought } from './brought.ts';
import { beginChangeHost, leaveProblem, stayOnHost } from './change-host.ts';
import { lockVolume } from './store.ts';
import type { ListedVolume } from './volume.ts';

export interface BringWish {
  serverId: string;
  /** Where the server is, or has to go for its other volumes. */
  targetId: string;
  /** What a refusal leaves: it is recorded when the transaction has come to nothing. */
  refusing?: ((record: (tx: Tx) => Promise<unknown>) => void) | undefined;
}

/**
 * Chooses the pool there, as the volume's type asks, and begins. The rows of the server and of the volume are locked; the caller writes the attachment.
 * @throws CloudError `invalid` `volume_not_brought`
 */
export async function beginBring(
  tx: Tx,
  actor: Actor,
  volume: ListedVolume,
  { serverId, targetId, refusing }: BringWish,
): Promise<void> {
  const { id, project_id: projectId, layer_bytes: sizeBytes, volume_type_id: typeId } = volume;
  // What else keeps it can be mended by its owner, but not while nobody knows what is left of it.
  const why =
    (await hostProblem(tx, volume)) ?? (await leaveProblem(tx, volume, targetId)) ?? (await chainProblem(tx, volume));
  if (why) throw new CloudError('invalid', 'volume_not_brought', { id, server: serverId, why, said: null });
  const { rows } = await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
    where id = ${typeId}`.execute(tx);
  const wish = {
    ...{ sizeBytes, extraSpecs: rows[0]!.extra_specs, hostId: targetId, hostOf: 'server' as const },
    copiedBytes: await copiedBytes(tx, { topId: volume.layer_id!, top: 'copy' }),
    // Into a cluster nothing is copied from another host.
    from: await placeOf(tx, volume.pool_id!, true),
    ...{ encrypted: volume.key_id !== null, iops: await iopsOfType(tx, typeId, volume.size_gib) },
  };
  const found = await choosePool(tx, wish);
  const record = (in_: Tx) => recordPoolChoice(in_, { projectId, volumeId: id, wish, found });
  if (!found.pool) {
    refusing?.(record);
    const said = `${found.message} (${found.fix})`;
    throw new CloudError('invalid', 'volume_not_brought', { id, server: serverId, why: 'no_pool', said });
  }
  await record(tx);
  await beginChangeHost(tx, actor, volume, { kind: 'bring', pool: found.pool, typeId: null });
}

/** Undefined: its host is there to give it. */
async function hostProblem(tx: Tx, { host_id }: ListedVolume): Promise<'host_away' | undefined> {
  const { rows } = await sql`select from host h where h.id = ${host_id} and ${seenLately}`.execute(tx);
  return rows.length > 0 ? undefined : 'host_away';
}

/** Undefined: all that others know of it goes along. */
async function chainProblem(tx: Tx, { id, layer_id }: ListedVolume): Promise<'branched' | undefined> {
  const { rows } = await sql<{ branched: boolean }>`
    with recursive chain (id) as (
      select ${layer_id}::uuid
      union all select l.parent_id from chain join volume_layer l on l.id = chain.id where l.parent_id is not null)
    select exists (select from volume_snapshot s where s.volume_id = ${id} and s.layer_id is not null
      and s.layer_id not in (select id from chain)) as branched`.execute(tx);
  return rows[0]!.branched ? 'branched' : undefined;
}

/** Who asked for it does not want it any more: it stays where it is, and nobody has it. The rows of the server and of the volume are locked. */
export async function callOffBring(tx: Tx, volumeId: string, why: string): Promise<void> {
  const volume = await lockVolume(tx, 'all', volumeId);
  const task = volume.desired_task;
  if (task?.kind === 'bring') await stayOnHost(tx, volume, task, { why, code: 'conflict' });
  else await dropBrought(tx, volumeId);
}

/** All that are on their way to these servers. */
export async function callOffBrings(tx: Tx, serverIds: readonly string[], why: string): Promise<void> {
  const { rows } = await sql<{ volume_id: string }>`select volume_id from volume_attachment
    where server_id = any(${[...serverIds]}::uuid[]) and target_host_id is not null order by volume_id`.execute(tx);
  for (const { volume_id } of rows) await callOffBring(tx, volume_id, why);
}
