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
type LimitKey = keyof typeof limitOf;

/** Of a type's column `qos_specs_id`: what {@link qosLimits} takes, as one value; null where there is none. */
export const qosOfTypeSql = (specsId: RawBuilder<unknown>): RawBuilder<QosSpecs | null> =>
  sql`(select json_build_object('consumer', q.consumer, 'specs', q.specs) from qos_specs q where q.id = ${specsId})`;

/** As much as QEMU counts (its throttle.h). */
const mostOfQemu = 1e15;

/**
 * The limits of a volume of `sizeGib`. A key that ends with `_per_gb` grows with the volume, from `…_per_gb_min` to `…_max`, and counts
 * instead of the one that does not, as in Cinder. Elsewhere `…_max` is what may pass in a second after a quiet time; alone, or below its rate, it is the
 * rate: QEMU takes no burst without a rate, and more than it never was to pass. `size_iops_sec`: a larger operation counts as several.
 * QEMU takes a total or limits of the two directions, not both: then the total counts.
 * @returns undefined where nothing limits it
 */
export function qosLimits(qos: QosSpecs | null, sizeGib: number): DiskLimits | undefined {
  if (!qos || qos.consumer === 'back-end') return undefined;
  const { specs } = qos;
  const bytes = kindOf(specs, ['total_bytes_sec', 'read_bytes_sec', 'write_bytes_sec'], sizeGib);
  const operations = kindOf(specs, ['total_iops_sec', 'read_iops_sec', 'write_iops_sec'], sizeGib);
  if (!bytes && !operations) return undefined;
  const size = operations ? (amount(specs.size_iops_sec) ?? 0) : 0;
  return { ...noLimits, ...bytes, ...operations, ...(size > 0 && { iops_size: size }) };
}

const noLimits: DiskLimits = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };

/** Of bytes or of operations, the total first: where there is one, the directions do not count. */
function kindOf(
  specs: QosSpecs['specs'],
  [total, ...directions]: readonly LimitKey[],
  sizeGib: number,
): Partial<DiskLimits> | undefined {
  const all = limitFrom(specs, total!, sizeGib);
  if (all) return all;
  const each = directions.map((key) => limitFrom(specs, key, sizeGib)).filter((limit) => limit !== undefined);
  return each.length > 0 ? Object.assign({}, ...each) : undefined;
}

function limitFrom(specs: QosSpecs['specs'], key: LimitKey, sizeGib: number): Partial<DiskLimits> | undefined {
  const ours = limitOf[key];
  const perGib = amount(specs[`${key}_per_gb`]);
  if (perGib !== undefined) {
    const grown = Math.max(perGib * sizeGib, amount(specs[`${key}_per_gb_min`]) ?? 0);
    const rate = Math.min(grown, amount(specs[`${key}_max`]) ?? grown, mostOfQemu);
    return rate > 0 ? { [ours]: rate } : undefined;
  }
  const [rate, most] = [amount(specs[key]) ?? 0, amount(specs[`${key}_max`]) ?? 0];
  if (rate === 0 || most === 0) return rate + most > 0 ? { [ours]: rate + most } : undefined;
  return { [ours]: Math.min(rate, most), ...(most > rate && { [`${ours}_max`]: most }) };
}

/** Keys that limit a guest's disk; their values are whole numbers. */
export const isLimitKey = (key: string): boolean =>
  key === 'size_iops_sec' ||
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
