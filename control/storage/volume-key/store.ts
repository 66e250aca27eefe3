/** SQL about keys as what layers refer to; nothing of their secrets, which are in handed-out.ts. */
import { sql } from 'kysely';
import type { LayerEncryption } from '../../../contract/host/index.ts';
import { newId, type VolumeKeyId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';

/** How a volume is encrypted, whatever its key is. */
export type VolumeEncryption = Omit<LayerEncryption, 'keyId'>;

/** A key for the layers of one volume, or for an image. It goes with the last of them; so that row has to be inserted in the same transaction. */
export async function insertKey(tx: Tx, { cipher, keySizeBits }: VolumeEncryption): Promise<VolumeKeyId> {
  const id = newId<VolumeKeyId>();
  await sql`insert into volume_key (id, cipher, key_size_bits) values (${id}, ${cipher}, ${keySizeBits})`.execute(tx);
  return id;
}

/** @returns undefined where there is no such key (any more) */
export async function encryptionWith(db: Queryable, keyId: string): Promise<VolumeEncryption | undefined> {
  const { rows } = await sql<VolumeEncryption>`select cipher, key_size_bits as "keySizeBits" from volume_key
    where id = ${keyId}`.execute(db);
  return rows[0];
}
