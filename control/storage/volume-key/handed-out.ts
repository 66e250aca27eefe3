/**
 * Keys for the hosts that open layers with them. A key is made when it is first asked for, by whichever of several control processes is
 * asked: the row decides. Sealed at rest (identity/sealing.ts); in the clear it exists here for the time of one answer, and goes out on the
 * host's own stream alone, to a host that has a layer or an image with it, or makes a layer of such an image.
 *
 * The database has the only copy: with it, or with the keys that seal it, all that is encrypted is lost. If the process dies a key
 * has been made or not; nobody has used one whose row does not say so.
 */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type CloudError, isCloudError } from '../../../contract/errors.ts';
import type { HostId, VolumeKeyId } from '../../../contract/ids.ts';
import type { HandedOutKey } from '../../host/index.ts';
import type { Sealer } from '../../identity/index.ts';
import type { Database } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

export interface KeyDependencies {
  database: Database;
  sealer: Pick<Sealer, 'seal' | 'open'>;
  log: Logger;
}

const passphraseBytes = 32;

interface KeyRow {
  id: VolumeKeyId;
  sealed: Buffer | null;
  /** A file was made with it, or may have been. */
  used: boolean;
}

/** An answer for each that is asked for. What the host has nothing to do with is answered as what is not there. */
export async function handOut(
  deps: KeyDependencies,
  hostId: HostId,
  ids: readonly VolumeKeyId[],
): Promise<HandedOutKey[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<KeyRow>`select k.id, k.sealed,
      exists (select from volume_layer l where l.key_id = k.id and l.observed_size_bytes > 0)
        or exists (select from backup b where b.key_id = k.id and b.ready_at is not null)
        or exists (select from image i where i.key_id = k.id and i.captured_from is null) as used
    from volume_key k where ${isOneOf(sql`k.id`, ids)}
      and (exists (select from volume_layer l where l.key_id = k.id and l.host_id = ${hostId})
        or exists (select from image i where i.key_id = k.id
          and (exists (select from image_location p where p.image_id = i.id and p.host_id = ${hostId})
            or exists (select from volume_layer l where l.image_id = i.id and l.host_id = ${hostId}))))`.execute(
    deps.database.query,
  );
  const known = new Map(rows.map((row) => [row.id, row]));
  return Promise.all(ids.map((id) => answer(deps, hostId, id, known.get(id))));
}

async function answer(
  deps: KeyDependencies,
  hostId: HostId,
  id: VolumeKeyId,
  row: KeyRow | undefined,
): Promise<HandedOutKey> {
  try {
    if (!row || (row.sealed === null && row.used))
      return { id, passphrase: null, problem: 'the database has no such key' };
    const sealed = row.sealed ?? (await make(deps, id));
    return { id, passphrase: deps.sealer.open(sealed, rowName(id)), problem: null };
  } catch (error) {
    deps.log.error({ err: error, hostId, keyId: id }, 'the key of an encrypted volume can not be read');
    return { id, passphrase: null, problem: `it can not be read: ${reasonOf(error)}` };
  }
}

/** Of two at once one is the first, and both answer with its. */
async function make({ database, sealer }: KeyDependencies, id: VolumeKeyId): Promise<Buffer> {
  // Text, since that is all that QEMU takes as a passphrase of LUKS.
  const mine = sealer.seal(randomBytes(passphraseBytes).toString('hex'), rowName(id));
  await sql`update volume_key set sealed = ${mine} where id = ${id} and sealed is null`.execute(database.query);
  const { rows } = await sql<{ sealed: Buffer }>`select sealed from volume_key where id = ${id}`.execute(
    database.query,
  );
  if (!rows[0]) throw new Error('the key is gone');
  return rows[0].sealed;
}

const rowName = (id: string): string => `volume_key ${id}`;

const reasonOf = (error: unknown): string =>
  isCloudError(error) && (error as CloudError).reason === 'sealing_key_missing'
    ? 'what seals it is not among the sealing keys of this cloud'
    : 'it was changed, or what seals it was';
