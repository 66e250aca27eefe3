/**
 * What this host has exported, and as whom: `<data>/exports/<layer id>.json`. Written before a process has the user, and gone when none
 * has it any more, so a user belongs to one export or to none, and whoever comes next finds what runs. No secret is in it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredExport } from '../../../contract/host/index.ts';
import { type LayerId, parseId, type VolumeId } from '../../../contract/ids.ts';
import { writeWhole } from '../../files.ts';

export interface ExportRecord extends Omit<DesiredExport, 'secretId'> {
  layerId: LayerId;
  volumeId: VolumeId;
  uid: number;
  /** The machine was let in: what runs is whole. */
  ready: boolean;
  /** Its limits can be changed while it runs. Absent: an older Bothy began it. */
  throttled?: boolean;
}

/** In the run directory of an export: its storage daemon's monitor. */
export const qmpName = 'qmp.sock';
/** Cinder's name for the target of a volume. */
export const iqnOf = (volumeId: string): string => `iqn.2010-10.org.openstack:volume-${volumeId}`;

export const exportsDirectory = (dataDirectory: string) => join(dataDirectory, 'exports');

const fileOf = (dataDirectory: string, id: LayerId) => join(exportsDirectory(dataDirectory), `${id}.json`);

/** One that can't be read is of nobody: whoever runs as its user is found by the processes. */
export function readExportRecords(dataDirectory: string): ExportRecord[] {
  return namesIn(exportsDirectory(dataDirectory)).flatMap((name) => {
    const id = name.endsWith('.json') ? parseId<LayerId>(name.slice(0, -5)) : undefined;
    const record = id && read(fileOf(dataDirectory, id));
    return record && record.layerId === id ? [record] : [];
  });
}

export async function writeExportRecord(dataDirectory: string, record: ExportRecord): Promise<void> {
  await mkdir(exportsDirectory(dataDirectory), { recursive: true, mode: 0o700 });
  await writeWhole(fileOf(dataDirectory, record.layerId), JSON.stringify(record));
}

export const removeExportRecord = (dataDirectory: string, id: LayerId): Promise<void> =>
  rm(fileOf(dataDirectory, id), { force: true });

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): ExportRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as ExportRecord;
    // A damaged record must not make ours of what root or the system runs.
    return Number.isSafeInteger(record.uid) && record.uid >= 1000 ? record : undefined;
  } catch {
    return undefined;
  }
}
