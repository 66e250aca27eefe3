/**
 * How volumes of a type shall be encrypted: administrators' alone, and not changed while volumes have the type. No host encrypts
 * yet, so a volume of such a type is refused ({@link requireServedType}) rather than made in the clear.
 */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database, Queryable, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { isUsed, lockType, touchType } from './change.ts';
import type { VolumeTypeRow } from './listing.ts';
import type { VolumeTypeEncryptionTable } from './tables.ts';

export type EncryptionRow = Selectable<VolumeTypeEncryptionTable>;
export type EncryptionWish = Pick<EncryptionRow, 'provider' | 'control_location' | 'cipher' | 'key_size'>;

export class TypeEncryptionService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** @returns undefined where the type is not encrypted */
  async find(caller: Caller, typeId: string): Promise<EncryptionRow | undefined> {
    requireAdmin(caller, 'show how a volume type is encrypted');
    return encryptionOf(this.#database.query, typeId);
  }

  /** @throws CloudError `not_found`; `conflict` where there is one, or while volumes have the type */
  async create(caller: Caller, typeId: string, wish: EncryptionWish): Promise<EncryptionRow> {
    requireAdmin(caller, 'encrypt a volume type');
    return this.#change(caller, typeId, async (tx, type) => {
      if (await encryptionOf(tx, type.id)) {
        throw new CloudError('conflict', 'volume_type_encryption_exists', { id: type.id });
      }
      const { rows } = await sql<EncryptionRow>`insert into volume_type_encryption
          (volume_type_id, id, provider, control_location, cipher, key_size)
        values (${type.id}, ${newId()}, ${wish.provider}, ${wish.control_location}, ${wish.cipher}, ${wish.key_size})
        returning *`.execute(tx);
      return rows[0]!;
    });
  }

  async update(caller: Caller, typeId: string, change: Partial<EncryptionWish>): Promise<EncryptionRow> {
    requireAdmin(caller, 'change how a volume type is encrypted');
    return this.#change(caller, typeId, async (tx, type) => {
      const present = await encryptionOf(tx, type.id);
      if (!present) throw notFound('volume_type_encryption', type.id);
      const now = { ...present, ...change };
      const { rows } = await sql<EncryptionRow>`update volume_type_encryption set provider = ${now.provider},
        control_location = ${now.control_location}, cipher = ${now.cipher}, key_size = ${now.key_size},
        updated_at = now() where volume_type_id = ${type.id} returning *`.execute(tx);
      return rows[0]!;
    });
  }

  async delete(caller: Caller, typeId: string): Promise<void> {
    requireAdmin(caller, 'no longer encrypt a volume type');
    await this.#change(caller, typeId, async (tx, type) => {
      const { numAffectedRows } = await sql`delete from volume_type_encryption
        where volume_type_id = ${type.id}`.execute(tx);
      if (numAffectedRows !== 1n) throw notFound('volume_type_encryption', type.id);
    });
  }

  #change<T>(caller: Caller, id: string, work: (tx: Tx, type: VolumeTypeRow) => Promise<T>): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const type = await lockType(tx, id);
      if (await isUsed(tx, type.id)) throw new CloudError('conflict', 'volume_type_has_volumes', { id: type.id });
      const result = await work(tx, type);
      await touchType(tx, type.id);
      return result;
    });
  }
}

/** @returns undefined where a type's volumes are not encrypted */
export async function encryptionOf(db: Queryable, typeId: string): Promise<EncryptionRow | undefined> {
  const { rows } = await sql<EncryptionRow>`select * from volume_type_encryption
    where volume_type_id = ${typeId}`.execute(db);
  return rows[0];
}

/** @throws CloudError `invalid` for a type whose volumes no host can make as it says */
export async function requireServedType(db: Queryable, type: Pick<VolumeTypeRow, 'id' | 'name'>): Promise<void> {
  if (await encryptionOf(db, type.id)) throw new CloudError('invalid', 'volume_type_encrypted', { name: type.name });
}
