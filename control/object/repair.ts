/**
 * Copies that are not what was written, as reads and the scrubs of hosts find them: each is written anew from another copy, on the same disk under an intent of this
 * process, and its row is switched. Where there is no other copy nothing is done, and said.
 */
import type { Logger } from 'pino';
import type { ObjectIntentId } from '../../contract/ids.ts';
import { type Disk, type Disks, placeOf } from './disks.ts';
import { type MoveOptions, replaceCopy } from './move.ts';
import { run } from './statements.ts';

interface Lost {
  id: string;
  intentId: string;
  file: string;
  offset: number;
  length: number;
  /** Other disks that have it. */
  others: { disk: string; intentId: string; file: string; offset: number }[] | null;
}

/** Of records those that the false bytes touch: what lies before a record is its header. */
const headerBytes = 64;
const maxTold = 10_000;

const lostText = `select b.id, b.intent_id as "intentId", b.file, b.offset_bytes as offset, b.length,
    (select json_agg(json_build_object('disk', o.disk_id, 'intentId', o.intent_id, 'file', o.file, 'offset', o.offset_bytes))
      from object_blob o where o.id = b.id and o.disk_id <> b.disk_id) as others
  from object_blob b where b.intent_id = $1 and b.disk_id = $2 and b.file = $3
    and ($4 or (b.offset_bytes < $5::bigint + $6::bigint and b.offset_bytes + b.length + ${headerBytes} > $5::bigint))`;

/**
 * @param told what was said to be lost: once is enough
 * @returns how many copies were written anew
 */
export async function repairDisk(
  options: MoveOptions & { log: Logger },
  disks: Disks,
  disk: Disk,
  told: Set<string>,
): Promise<number> {
  const { database, client, log } = options;
  const { faults } = await client.objects.faults(placeOf(disk));
  let repaired = 0;
  for (const { intent, file, kind, offset, length } of faults) {
    const whole = kind === 'missing' || !file.endsWith('.pack');
    const lost = await run<Lost>(database.query, lostText, [intent, disk.id, file, whole, offset, length]);
    let left = 0;
    for (const blob of lost) {
      if (await repairCopy(options, disks, disk, blob)) repaired++;
      else left++;
    }
    const key = `${disk.id}/${intent}/${file} ${left}`;
    if (left === 0) await client.objects.forgetFaults(placeOf(disk), intent as ObjectIntentId, file);
    else if (!told.has(key)) {
      if (told.size >= maxTold) told.clear();
      told.add(key);
      log.error({ diskId: disk.id, intent, file, blobs: left }, 'objects: bytes are lost, and no other copy has them');
    }
  }
  return repaired;
}

async function repairCopy(options: MoveOptions, disks: Disks, disk: Disk, blob: Lost): Promise<boolean> {
  for (const other of blob.others ?? []) {
    const from = await disks.get(other.disk);
    if (!from?.connected) continue;
    const source = {
      id: blob.id,
      length: blob.length,
      intentId: other.intentId,
      file: other.file,
      offset: other.offset,
    };
    if (await replaceCopy(options, { from, source, to: disk, lost: blob })) return true;
  }
  return false;
}
