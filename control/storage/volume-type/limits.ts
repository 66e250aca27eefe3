/**
 * What a type's QoS specs mean for a guest's disk (Cinder: "front end" keys, which Nova hands to QEMU). Pure, but for the SQL
 * that reads them.
 */
import { type RawBuilder, sql } from 'kysely';
import type { DesiredVolume } from '../../../contract/host/index.ts';
import type { Queryable } from '../../kit/database/database.ts';

export type DiskLimits = NonNullable<DesiredVolume['limits']>;

export type QosConsumer = 'front-end' | 'back-end' | 'both';

export interface QosSpecs {
  consumer: QosConsumer;
  specs: Readonly<Record<string, string>>;
}

/** Ours, by the keys of front-end specs. */
const limitOf = {
  total_bytes_sec: 'bps',
  read_bytes_sec: 'bps_rd',
  write_bytes_sec: 'bps_wr',
  total_iops_sec: 'iops',
  read_iops_sec: 'iops_rd',
  write_iops_sec: 'iops_wr',
} as const satisfies Record<string, keyof DiskLimits>;

/** Of a type's column `qos_specs_id`: what {@link qosLimits} takes, as one value; null where there is none. */
export const qosOfTypeSql = (specsId: RawBuilder<unknown>): RawBuilder<QosSpecs | null> =>
  sql`(select json_build_object('consumer', q.consumer, 'specs', q.specs) from qos_specs q where q.id = ${specsId})`;

/**
 * The limits of a volume of `sizeGib`. A key that ends with `_per_gb` grows with the volume, from `…_per_gb_min` to `…_max`, and counts
 * instead of the one that does not, as in Cinder. QEMU takes a total or limits of the two directions, not both: then the total counts.
 * @returns undefined where nothing limits it
 */
export function qosLimits(qos: QosSpecs | null, sizeGib: number): DiskLimits | undefined {
  if (!qos || qos.consumer === 'back-end') return undefined;
  const limits: DiskLimits = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
  for (const [key, ours] of Object.entries(limitOf)) limits[ours] = limitFrom(qos.specs, key, sizeGib);
  if (limits.bps > 0) limits.bps_rd = limits.bps_wr = 0;
  if (limits.iops > 0) limits.iops_rd = limits.iops_wr = 0;
  return Object.values(limits).some((limit) => limit > 0) ? limits : undefined;
}

function limitFrom(specs: QosSpecs['specs'], key: string, sizeGib: number): number {
  const perGib = amount(specs[`${key}_per_gb`]);
  if (perGib === undefined) return amount(specs[key]) ?? 0;
  const grown = Math.max(perGib * sizeGib, amount(specs[`${key}_per_gb_min`]) ?? 0);
  return Math.min(grown, amount(specs[`${key}_max`]) ?? grown, Number.MAX_SAFE_INTEGER);
}

/** Keys that limit a guest's disk; their values are whole numbers. */
export const isLimitKey = (key: string): boolean =>
  Object.keys(limitOf).some((known) => [known, `${known}_per_gb`, `${known}_per_gb_min`, `${known}_max`].includes(key));

/** @returns undefined for what is no whole number that JavaScript counts exactly */
export function amount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Reads and writes a second, together, that the QoS specs promise a volume of `sizeGib`; 0: nothing is said. */
export function promisedIops(qos: QosSpecs | null, sizeGib: number): number {
  const { iops = 0, iops_rd = 0, iops_wr = 0 } = qosLimits(qos, sizeGib) ?? {};
  return iops > 0 ? iops : iops_rd + iops_wr;
}

/** The same for a type as it is now. */
export async function iopsOfType(db: Queryable, typeId: string, sizeGib: number): Promise<number> {
  const { rows } = await sql<{ qos: QosSpecs | null }>`select ${qosOfTypeSql(sql`qos_specs_id`)} as qos from volume_type
    where id = ${typeId}`.execute(db);
  return promisedIops(rows[0]?.qos ?? null, sizeGib);
}
