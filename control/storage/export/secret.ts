/**
 * The secret of an export: made with it, sealed at rest (identity/sealing.ts), told to its host as keys of volumes are, and to who may connect
 * to the volume. In the clear it exists here for the time of one answer. In no log: its table has no trigger.
 */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { chapSecretOf } from '../../../contract/host/index.ts';
import type { HostId, VolumeKeyId } from '../../../contract/ids.ts';
import type { HandedOutKey } from '../../host/index.ts';
import type { Sealer } from '../../identity/index.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import type { KeyDependencies } from '../volume-key/index.ts';

const secretBytes = 32;

const rowName = (attachmentId: string): string => `volume_export ${attachmentId}`;

/** @returns it, sealed */
export const newSecret = (sealer: Pick<Sealer, 'seal'>, attachmentId: string): Buffer =>
  sealer.seal(randomBytes(secretBytes).toString('hex'), rowName(attachmentId));

/** As its machine takes it. @throws CloudError `unavailable` where what seals it is not here */
export const exportSecret = (sealer: Pick<Sealer, 'open'>, attachmentId: string, sealed: Buffer): string =>
  chapSecretOf(sealer.open(sealed, rowName(attachmentId)));

/** Those of the ids that are secrets of exports of this host; the others are keys. */
export async function handOutSecrets(
  { database, sealer, log }: KeyDependencies,
  hostId: HostId,
  ids: readonly VolumeKeyId[],
): Promise<HandedOutKey[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<{ id: VolumeKeyId; attachment_id: string; sealed: Buffer }>`
    select secret_id as id, attachment_id, sealed from volume_export
    where ${isOneOf(sql`secret_id`, ids)} and host_id = ${hostId}`.execute(database.query);
  return rows.map(({ id, attachment_id, sealed }) => {
    try {
      return { id, passphrase: sealer.open(sealed, rowName(attachment_id)), problem: null };
    } catch (error) {
      log.error({ err: error, hostId, attachmentId: attachment_id }, 'the secret of an export can not be read');
      return { id, passphrase: null, problem: 'it can not be read with the sealing keys of this cloud' };
    }
  });
}
