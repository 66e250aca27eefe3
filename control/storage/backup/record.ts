/**
 * Backups as text, for the day on which the database is lost: what `export_record` gives and `import_record` takes, base64 of JSON as
 * Cinder's. It says where the file is and what its digest is; the bytes stay where they are, and are read only where they match it.
 */
import { sql } from 'kysely';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { CloudError } from '../../../contract/errors.ts';
import { databaseNow } from '../../kit/database/clock.ts';
import type { Queryable } from '../../kit/database/database.ts';
import type { BackupRow, ListedBackup } from './store.ts';

/** What made it, in the form of Cinder's names. */
export const backupService = 'cinder.backup.drivers.bothy';

const id = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const text = Type.String({ maxLength: 255 });
const texts = Type.Record(Type.String({ maxLength: 255 }), Type.String({ maxLength: 65_535 }));

/** Members that tools for Cinder's records look at have its names. */
const record = Type.Object({
  ...{ id, volume_id: id, snapshot_id: orNull(id), parent_id: orNull(id) },
  ...{
    display_name: text,
    display_description: orNull(text),
    container: orNull(text),
    availability_zone: orNull(text),
  },
  ...{ size: Type.Integer({ minimum: 1, maximum: 0x7fffffff }), metadata: texts, data_timestamp: text },
  host: orNull(id),
  /** The key itself is in no record: where it is not in the database any more nobody reads the file. */
  encryption_key_id: Type.Optional(orNull(id)),
  file: Type.Object({
    name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$' }),
    size_bytes: Type.Integer({ minimum: 0 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  }),
  volume: Type.Object({
    ...{ name: text, description: orNull(text), bootable: Type.Boolean(), metadata: texts },
    ...{ image_metadata: orNull(texts), type_id: Type.Optional(id) },
  }),
});
type BackupRecord = Static<typeof record>;

export function exportRecord(backup: ListedBackup): string {
  const {
    id,
    volume_id,
    snapshot_id,
    parent_id,
    metadata,
    container,
    availability_zone,
    volume,
    host_id: host,
  } = backup;
  const said: BackupRecord = {
    ...{ id, volume_id, snapshot_id, parent_id, display_name: backup.name, display_description: backup.description },
    ...{ size: backup.size_gib, metadata, container, availability_zone, host, volume },
    encryption_key_id: backup.key_id,
    data_timestamp: backup.data_at.toISOString(),
    file: { name: backup.file_name, size_bytes: backup.file_bytes!, sha256: backup.sha256! },
  };
  return Buffer.from(JSON.stringify(said)).toString('base64');
}

/** @throws CloudError `invalid` for whatever is not such a record */
export function readRecord(text: string): BackupRecord {
  const said = jsonOf(text);
  if (!Value.Check(record, said)) {
    const [error] = Value.Errors(record, said);
    throw unreadable(error?.instancePath.slice(1, 100) || 'the whole');
  }
  // A NUL is no text to the database.
  if (JSON.stringify(said).includes('\\u0000')) throw unreadable('the whole');
  if (Number.isNaN(Date.parse(said.data_timestamp))) throw unreadable('data_timestamp');
  return said;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString());
  } catch {
    throw unreadable('the whole');
  }
}

const unreadable = (field: string) => new CloudError('invalid', 'backup_record_unreadable', { field });

/** The row that it is of; its host and what it builds on only where they are here. */
export async function rowOf(
  db: Queryable,
  said: BackupRecord,
  owner: { projectId: string; userId: string },
): Promise<Omit<BackupRow, 'generation' | 'desired_presence' | 'fault' | 'created_at' | 'updated_at'>> {
  const { id, volume_id, snapshot_id, metadata, container, availability_zone, volume, file } = said;
  const keyId = said.encryption_key_id ?? null;
  const { rows } = await sql<{ host: string | null; parent: string | null; key: string | null }>`select
    (select id from volume_key where id = ${keyId} and sealed is not null for key share) as key,
    (select id from host where id = ${said.host}) as host,
    (select id from backup where id = ${said.parent_id} and desired_presence = 'present' for share) as parent`.execute(
    db,
  );
  if (said.parent_id !== null && rows[0]!.parent === null) throw unreadable('parent_id: import that one first');
  if (keyId !== null && rows[0]!.key === null)
    throw new CloudError('invalid', 'backup_key_missing', { id, key: keyId });
  return {
    ...{ key_id: keyId },
    ...{ id, project_id: owner.projectId, user_id: owner.userId, volume_id, snapshot_id, parent_id: said.parent_id },
    ...{ name: said.display_name, description: said.display_description, size_gib: said.size, volume, metadata },
    ...{ container, availability_zone, host_id: rows[0]!.host, layer_id: null, data_at: new Date(said.data_timestamp) },
    ...{ file_name: file.name, file_bytes: file.size_bytes, sha256: file.sha256, ready_at: await databaseNow(db) },
  };
}
