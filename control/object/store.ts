/** SQL about accounts and containers. Nothing else. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import type { ContainerInfo, ListedContainer, Where } from './object.ts';

/** Of `container c join container_use u`. */
const containerColumns = sql`c.id, c.project_id as "projectId", c.name, c.bucket_name as "bucketName", c.metadata,
  c.read_acl as "readAcl", c.write_acl as "writeAcl", c.versioning, c.quota_bytes as "quotaBytes", c.quota_objects as "quotaObjects",
  c.settings, u.objects, u.bytes, u.past_objects as "pastObjects", u.past_bytes as "pastBytes",
  c.created_at as "createdAt", greatest(c.updated_at, u.changed_at) as "updatedAt"`;

export async function containerRow(db: Queryable, { projectId, container }: Where): Promise<ContainerInfo | undefined> {
  const { rows } =
    await sql<ContainerInfo>`select ${containerColumns} from container c join container_use u on u.container_id = c.id
    where c.project_id = ${projectId} and c.name = ${container}`.execute(db);
  return rows[0];
}

/** As a listing tells them, which has thousands: nothing that may be long. */
export async function containersNamed(
  db: Queryable,
  projectId: string,
  names: readonly string[],
): Promise<ListedContainer[]> {
  if (names.length === 0) return [];
  const { rows } =
    await sql<ListedContainer>`select c.name, u.objects, u.bytes, c.created_at as "createdAt" from container c join container_use u on u.container_id = c.id
    where c.project_id = ${projectId} and c.name = any(${[...names]}::text[])`.execute(db);
  return rows;
}

/** The account's row, made where it is not there, held until the transaction ends: before any container's. */
export async function holdAccount(
  tx: Tx,
  projectId: string,
): Promise<{ metadata: Record<string, string>; quota_bytes: number | null }> {
  await sql`insert into object_account (project_id) values (${projectId}) on conflict do nothing`.execute(tx);
  const { rows } = await sql<{ metadata: Record<string, string>; quota_bytes: number | null }>`
    select metadata, quota_bytes from object_account where project_id = ${projectId} for update`.execute(tx);
  return rows[0]!;
}

export interface HeldUse {
  objects: number;
  bytes: number;
  past_objects: number;
  upload_bytes: number;
}

/** Held until the transaction ends. @throws CloudError `not_found` where it is gone since it was read */
export async function holdContainer(tx: Tx, id: string, where: Where): Promise<HeldUse> {
  const { rows } = await sql<HeldUse>`select objects, bytes, past_objects, upload_bytes from container_use
    where container_id = ${id} for update`.execute(tx);
  if (!rows[0]) throw new CloudError('not_found', 'container_not_found', { container: where.container });
  return rows[0];
}
