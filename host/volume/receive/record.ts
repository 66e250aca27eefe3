/**
 * Which second copies this host takes writes to, where, and as whom: `<data>/receivers/<layer id>.json`. Written before a process has the user, and gone when none has it any more, so whoever comes
 * next finds what runs. No key is in it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type LayerId, parseId, type VolumeId } from '../../../contract/ids.ts';
import { writeWhole } from '../../files.ts';

export interface ReceiverRecord {
  layerId: LayerId;
  volumeId: VolumeId;
  /** Null (tests): as this process. */
  uid: number | null;
  address: string;
  /** Null: it does not take writes yet. */
  port: number | null;
}

const directoryOf = (dataDirectory: string): string => join(dataDirectory, 'receivers');
const fileOf = (dataDirectory: string, id: LayerId): string => join(directoryOf(dataDirectory), `${id}.json`);

/** One that can't be read is of nobody: whoever runs as its user is found by the processes. */
export function readReceiverRecords(dataDirectory: string): ReceiverRecord[] {
  return namesIn(directoryOf(dataDirectory)).flatMap((name) => {
    const id = name.endsWith('.json') ? parseId<LayerId>(name.slice(0, -5)) : undefined;
    const record = id && read(fileOf(dataDirectory, id));
    return record && record.layerId === id ? [record] : [];
  });
}

export async function writeReceiverRecord(dataDirectory: string, record: ReceiverRecord): Promise<void> {
  await mkdir(directoryOf(dataDirectory), { recursive: true, mode: 0o700 });
  await writeWhole(fileOf(dataDirectory, record.layerId), JSON.stringify(record));
}

export const removeReceiverRecord = (dataDirectory: string, id: LayerId): Promise<void> =>
  rm(fileOf(dataDirectory, id), { force: true });

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): ReceiverRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as ReceiverRecord;
    // A damaged record must not make ours of what root or the system runs.
    return record.uid === null || (Number.isSafeInteger(record.uid) && record.uid >= 1000) ? record : undefined;
  } catch {
    return undefined;
  }
}
