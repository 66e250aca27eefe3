/**
 * SQL about exports as they shall be; nothing else. The volume's row is locked by whoever calls. The layer goes first: reports lock it before
 * they take an attachment away.
 */
import { sql } from 'kysely';
import type { IscsiPortal } from '../../../contract/host/index.ts';
import { newId, type VolumeKeyId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

export interface ExportedVolume {
  id: string;
  layer_id: string | null;
}

export interface NewExport {
  attachmentId: string;
  hostId: string;
  port: number;
  initiator: string;
  sealed: Buffer;
}

/** A port of the host that nobody has; whoever looks for one of the same host at once waits. Undefined: all are taken. */
export async function freePort(tx: Tx, hostId: string, { first, last }: IscsiPortal): Promise<number | undefined> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`export ports ${hostId}`}, 0))`.execute(tx);
  const { rows } = await sql<{
    port: number;
  }>`select port from generate_series(${first}::integer, ${last}::integer) port
    where not exists (select from volume_export x where x.host_id = ${hostId} and x.port = port.port) limit 1`.execute(
    tx,
  );
  return rows[0]?.port;
}

/** Its host lets the machine in from now on. */
export async function insertExport(tx: Tx, { layer_id }: ExportedVolume, wish: NewExport): Promise<void> {
  await sql`update volume_layer set exported = true, generation = generation + 1, updated_at = now()
    where id = ${layer_id}`.execute(tx);
  await sql`insert into volume_export (attachment_id, host_id, port, initiator, secret_id, sealed)
    values (${wish.attachmentId}, ${wish.hostId}, ${wish.port}, ${wish.initiator}, ${newId<VolumeKeyId>()}, ${wish.sealed})`.execute(
    tx,
  );
}

/** Another layer is the volume's top: a machine outside that has the volume gets that one. */
export async function carryExport(tx: Tx, volumeId: string, top: string): Promise<void> {
  await sql`update volume_layer set exported = true where id = ${top}
    and exists (select from volume_attachment a join volume_export x on x.attachment_id = a.id where a.volume_id = ${volumeId})`.execute(
    tx,
  );
}

/** Their hosts hear of their limits, where a machine outside has them: those of their type are others now. */
export async function tellExports(tx: Tx, volumeIds: readonly string[]): Promise<void> {
  if (volumeIds.length === 0) return;
  await sql`update volume_layer l set generation = generation + 1, updated_at = now()
    from (select o.id from volume v join volume_layer o on o.id = v.layer_id where ${isOneOf(sql`v.id`, volumeIds)} and o.exported
      order by o.id for no key update of o) told
    where l.id = told.id`.execute(tx);
}

/** Its host cuts the session; the attachment goes when that is said ({@link recordEnded}). Safe to repeat. */
export async function endExport(tx: Tx, { id, layer_id }: ExportedVolume): Promise<void> {
  await sql`update volume_layer set generation = generation + 1, updated_at = now()
    where id = ${layer_id} and exists (select from volume_attachment a join volume_export x on x.attachment_id = a.id
      where a.volume_id = ${id} and x.desired_presence = 'present')`.execute(tx);
  await sql`with ended as (update volume_export x set desired_presence = 'absent' from volume_attachment a
      where a.id = x.attachment_id and a.volume_id = ${id} returning a.id)
    update volume_attachment a set desired_presence = 'absent', updated_at = now() from ended where a.id = ended.id`.execute(
    tx,
  );
}
