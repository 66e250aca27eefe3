/**
 * The way to a volume for a machine outside: its host lets that one in, by iSCSI. What can be exported, to whom, and at which port is decided
 * here in one transaction; that it is open the host says (../export).
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type IscsiPortal, initiatorPattern, portalOf } from '../../../contract/host/index.ts';
import { exportLimits } from '../../../contract/host/limits.ts';
import type { Sealer } from '../../identity/index.ts';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { beginningOf } from '../../kit/text.ts';
import { freePort, insertExport, newSecret } from '../export/index.ts';
import type { ListedVolume } from '../volume/index.ts';
import type { ConnectionReasons } from './reasons.ts';

/** What the other machine says of itself. */
export interface Connector {
  initiator: string;
  host: string | null;
  ip: string | null;
  /** Null: as the attachment is. */
  mode: 'rw' | 'ro' | null;
}

const textLength = 255;

/** @param said as os-brick makes it; what is not needed is not kept. @throws CloudError `invalid` */
export function connectorOf(said: Readonly<Record<string, unknown>>): Connector {
  const { initiator, mode } = said;
  if (typeof initiator !== 'string' || initiator === '') {
    throw new CloudError('invalid', 'connector_lacks', { what: 'initiator' });
  }
  if (initiator.length > exportLimits.initiatorLength || !new RegExp(initiatorPattern).test(initiator)) {
    throw new CloudError('invalid', 'connector_initiator_unfit', { initiator: initiator.slice(0, textLength) });
  }
  return {
    ...{ initiator, host: textOf(said.host), ip: textOf(said.ip) },
    mode: mode === 'rw' || mode === 'ro' ? mode : null,
  };
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? beginningOf(value, textLength) : null);

/**
 * Its machine is let in as soon as the host comes to it. The volume's row is locked. Safe to repeat.
 * @throws CloudError `invalid` where the volume is exported to nobody; `conflict` where the attachment is another machine's; `unavailable`
 */
export async function connectAttachment(
  tx: Tx,
  sealer: Pick<Sealer, 'seal'>,
  volume: ListedVolume,
  attachmentId: string,
  { initiator, host, ip, mode }: Connector,
): Promise<void> {
  const known = await exportOf(tx, attachmentId);
  if (known?.initiator === initiator && known.desired_presence === 'present') return;
  if (known) throw new CloudError('conflict', 'attachment_connected', { id: attachmentId });
  const { hostId, portal } = await requireExportable(tx, volume);
  const port = await freePort(tx, hostId, portal);
  if (port === undefined) throw notExported(volume, 'ports');
  const sealed = newSecret(sealer, attachmentId);
  await insertExport(tx, volume, { attachmentId, hostId, port, initiator, sealed });
  await sql`update volume_attachment set connector = ${json({ initiator, host, ip })}::jsonb, mode = coalesce(${mode}, mode), updated_at = now()
    where id = ${attachmentId}`.execute(tx);
}

/** Undefined: no machine outside is let in by it. */
export async function exportOf(
  tx: Tx,
  attachmentId: string,
): Promise<{ initiator: string; desired_presence: 'present' | 'absent' } | undefined> {
  const { rows } = await sql<{ initiator: string; desired_presence: 'present' | 'absent' }>`
    select initiator, desired_presence from volume_export where attachment_id = ${attachmentId}`.execute(tx);
  return rows[0];
}

/** The volume's host is there. */
export async function isHostUp(tx: Tx, hostId: string | null): Promise<boolean> {
  const { rows } = await sql<{ up: boolean }>`select connected and not forced_down as up from host
    where id = ${hostId}`.execute(tx);
  return rows[0]?.up ?? false;
}

type Why = ConnectionReasons['volume_not_exported']['why'];

const notExported = ({ id }: { id: string }, why: Why) =>
  new CloudError(why === 'ports' || why === 'host_away' ? 'unavailable' : 'invalid', 'volume_not_exported', {
    id,
    why,
  });

async function requireExportable(tx: Tx, volume: ListedVolume): Promise<{ hostId: string; portal: IscsiPortal }> {
  // Its machine would have to decrypt it, and does not speak the LUKS of qcow2.
  if (volume.key_id !== null) throw notExported(volume, 'encrypted');
  // What is in the cache only its guest's QEMU moves.
  if (volume.cache_pool_id !== null) throw notExported(volume, 'cache');
  const { rows } = await sql<{ portal: string | null; kind: string }>`
    select h.facts ->> 'iscsiPortal' as portal, p.kind from host h, storage_pool p
    where h.id = ${volume.host_id} and p.id = ${volume.pool_id}`.execute(tx);
  const [place] = rows;
  if (place?.kind === 'rbd') throw notExported(volume, 'cluster');
  const portal = portalOf(place?.portal ?? '');
  if (!portal || volume.host_id === null) throw notExported(volume, 'no_portal');
  if (!(await isHostUp(tx, volume.host_id))) throw notExported(volume, 'host_away');
  return { hostId: volume.host_id, portal };
}
