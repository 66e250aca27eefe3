/**
 * How volumes of a type shall be encrypted: administrators' alone, and not changed while volumes have the type. What hosts do is LUKS by QEMU, and
 * a volume of a type that asks for something else is refused ({@link servedEncryption}). Anything may be written down, as in Cinder, but for LUKS
 * version 2: it looks like what is served, and no volume could ever be of it.
 */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database, Queryable, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { StorageReasons } from '../reasons.ts';
import type { VolumeEncryption } from '../volume-key/index.ts';
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

  /** @throws CloudError `not_found`; `invalid` for LUKS version 2; `conflict` where there is one, or while volumes have the type */
  async create(caller: Caller, typeId: string, wish: EncryptionWish): Promise<EncryptionRow> {
    requireAdmin(caller, 'encrypt a volume type');
    return this.#change(caller, typeId, async (tx, type) => {
      requireVersion1(type, wish);
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
      requireVersion1(type, change);
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

type EncryptionReason = StorageReasons['volume_type_encryption_unserved'];

/** As Nova reads them: the classes that once did it stand for the format. */
const luksProviders: ReadonlySet<string> = new Set([
  ...['luks', 'LuksEncryptor', 'nova.volume.encryptors.luks.LuksEncryptor', 'os_brick.encryptors.luks.LuksEncryptor'],
]);
const servedCipher = 'aes-xts-plain64';
/** As Nova reads them, too. */
const version2Providers: ReadonlySet<string> = new Set([
  ...['luks2', 'Luks2Encryptor', 'os_brick.encryptors.luks.Luks2Encryptor'],
]);

/** QEMU's block layer reads and writes LUKS version 1 (crypto/block-luks.c). */
function requireVersion1({ name }: Pick<VolumeTypeRow, 'name'>, { provider }: Partial<EncryptionWish>): void {
  if (provider !== undefined && version2Providers.has(provider))
    throw new CloudError('invalid', 'volume_type_encryption_unserved', { name, what: 'version', value: provider });
}

/** As cryptsetup's. */
const defaultBits = 256;

/**
 * How volumes of a type are encrypted; undefined: they are not. The type stays so until the transaction ends: whoever changes it waits, and
 * then sees who has it.
 * @throws CloudError `invalid` where no host does it so
 */
export async function servedEncryption(
  tx: Tx,
  type: Pick<VolumeTypeRow, 'id' | 'name' | 'extra_specs'>,
): Promise<VolumeEncryption | undefined> {
  // One round trip, but two statements: the look must not see the type as it was before.
  const [, row] = await Promise.all([
    sql`select from volume_type where id = ${type.id} for key share`.execute(tx),
    encryptionOf(tx, type.id),
  ]);
  if (!row) return undefined;
  const { provider, control_location, cipher, key_size } = row;
  const unserved = (what: EncryptionReason['what'], value: string | number) =>
    new CloudError('invalid', 'volume_type_encryption_unserved', { name: type.name, what, value: String(value) });
  if (!luksProviders.has(provider)) throw unserved('provider', provider);
  if (control_location !== 'front-end') throw unserved('control_location', control_location);
  if (cipher !== null && cipher !== servedCipher) throw unserved('cipher', cipher);
  const keySizeBits = key_size ?? defaultBits;
  if (keySizeBits !== 256 && keySizeBits !== 512) throw unserved('key_size', keySizeBits);
  return { cipher: servedCipher, keySizeBits };
}
