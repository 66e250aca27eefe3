/** Which parts an object is made of, and what their checksums make. Pure. */
import { CloudError } from '../../contract/errors.ts';
import { checksumOf, combineCrc, isCrc } from '../../protocols/checksum/index.ts';
import type { ChecksumAlgorithm, Checksums, ChecksumWish, StoredWish } from './object.ts';
import { checksumAlgorithms } from './object.ts';

export interface PartChoice {
  number: number;
  etag: string;
  checksums?: Checksums;
}

export interface PartRow {
  number: number;
  blob_id: string | null;
  size_bytes: number;
  etag: string;
  checksums: Checksums | null;
  created_at: Date;
}

/** Of all parts but the last, as S3 has it. */
export const minPartBytes = 5 * 1024 * 1024;

/** @throws CloudError `invalid` where they are out of order, not there, others, or too small */
export function requireParts(
  rows: readonly PartRow[],
  choices: readonly PartChoice[],
  sizeBytes: number | undefined,
): PartRow[] {
  if (choices.some(({ number }, at) => at > 0 && choices[at - 1]!.number >= number)) {
    throw new CloudError('invalid', 'upload_parts_out_of_order', {});
  }
  const known = new Map(rows.map((row) => [row.number, row]));
  const parts = choices.map(({ number, etag, checksums = {} }, at) => {
    const part = known.get(number);
    const same =
      part &&
      part.etag === etag &&
      checksumAlgorithms.every((a) => !checksums[a] || checksums[a] === part.checksums?.[a]);
    if (!same) throw new CloudError('invalid', 'upload_part_not_found', { number });
    if (part.size_bytes < minPartBytes && at < choices.length - 1) {
      throw new CloudError('invalid', 'upload_part_too_small', { number, minimum: minPartBytes });
    }
    return part;
  });
  if (parts.length === 0) throw new CloudError('invalid', 'upload_part_not_found', { number: 1 });
  const whole = parts.reduce((sum, part) => sum + part.size_bytes, 0);
  if (sizeBytes !== undefined && sizeBytes !== whole) throw new CloudError('invalid', 'upload_cut_off', {});
  return parts;
}

/** The whole's from its parts': CRCs combined, or of the parts' own. @throws CloudError `invalid` where it is not what was said */
export function completedChecksums(
  parts: readonly PartRow[],
  { checksumAlgorithm, checksumType }: StoredWish,
  wishes: readonly ChecksumWish[] = [],
): Checksums | null {
  const algorithm = checksumAlgorithm ?? wishes[0]?.algorithm;
  if (!algorithm || parts.some(({ checksums }) => !checksums?.[algorithm])) return null;
  const full = checksumType === 'FULL_OBJECT' || (checksumType === undefined && algorithm === 'crc64nvme');
  const value = full ? combined(parts, algorithm) : composite(parts, algorithm);
  if (value === undefined) return null;
  for (const wish of wishes) {
    const said = typeof wish.value === 'function' ? wish.value() : wish.value;
    if (wish.algorithm === algorithm && said !== undefined && said !== value) {
      throw new CloudError('invalid', 'checksum_mismatch', { algorithm });
    }
  }
  return { [algorithm]: value, type: full ? 'FULL_OBJECT' : 'COMPOSITE' };
}

const digestOf = (part: PartRow, algorithm: ChecksumAlgorithm): Buffer =>
  Buffer.from(part.checksums![algorithm]!, 'base64');

function combined(parts: readonly PartRow[], algorithm: ChecksumAlgorithm): string | undefined {
  if (!isCrc(algorithm)) return undefined;
  const [first, ...rest] = parts;
  let whole = digestOf(first!, algorithm);
  for (const part of rest) whole = combineCrc(algorithm, whole, digestOf(part, algorithm), part.size_bytes);
  return whole.toString('base64');
}

function composite(parts: readonly PartRow[], algorithm: ChecksumAlgorithm): string {
  const digests = Buffer.concat(parts.map((part) => digestOf(part, algorithm)));
  return `${checksumOf(algorithm, digests).toString('base64')}-${parts.length}`;
}
