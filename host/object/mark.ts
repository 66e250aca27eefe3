/**
 * Whose an object disk is: its mark, `bothy-objects.json`, and what this host remembers of it in `<data>/object-disks.json`. Both count the times
 * that the disk was taken into use: one that comes back with what it had earlier (a snapshot, the other half of a mirror) has missed some.
 */
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNoEntry, readIfThere, writeWhole } from '../files.ts';

export const markName = 'bothy-objects.json';
export const rememberedName = 'object-disks.json';

export interface Mark {
  cloudId: string;
  hostId: string;
  disk: string;
  id: string;
  /** How often it was taken into use. */
  uses: number;
}

export interface Remembered {
  path: string;
  id: string;
  uses: number;
}

/** What may lie on a new disk: the file system's own, and a mark that the process died over before it was whole. */
const ofNobody: ReadonlySet<string> = new Set(['lost+found', `${markName}.new`]);

export interface Owner {
  hostId: string;
  /** Null before the first control has said which. */
  cloudId: string | null;
  disk: string;
  path: string;
  remembered: Remembered | undefined;
}

/** Whose the directory is: this host's, nobody's yet, or why it is not touched. */
export async function whoseDisk(owner: Owner): Promise<{ ours: Mark } | { refusal: string } | "nobody's"> {
  const { hostId, cloudId, disk, path, remembered } = owner;
  const bytes = await readIfThere(join(path, markName));
  if (bytes) {
    const mark = readMark(bytes);
    if (!mark) return { refusal: `its mark ${markName} can't be read` };
    if (mark.hostId !== hostId || (cloudId !== null && mark.cloudId !== cloudId))
      return { refusal: `it belongs to host ${mark.hostId} of cloud ${mark.cloudId}` };
    if (mark.disk !== disk) return { refusal: `it is the object disk ${mark.disk}` };
    if (remembered?.path === path && remembered.id !== mark.id)
      return { refusal: `it is another disk than the one that was ${disk} before` };
    if (remembered?.id === mark.id && mark.uses < remembered.uses)
      return { refusal: 'it has come back with what it held at an earlier time' };
    return { ours: mark };
  }
  if (remembered?.path === path) return { refusal: `its mark ${markName} is gone; is its file system mounted?` };
  const names = await namesIn(path);
  if (!names) return { refusal: `there is no directory ${path}` };
  return names.every((name) => ofNobody.has(name)) ? "nobody's" : { refusal: 'there are files of somebody else in it' };
}

export const newMark = ({ hostId, disk }: Owner, cloudId: string): Mark => ({
  ...{ cloudId, hostId, disk, id: randomUUID(), uses: 0 },
});

export const writeMark = (path: string, mark: Mark, durable: boolean): Promise<void> =>
  writeWhole(join(path, markName), JSON.stringify(mark), { durable });

export function readMark(bytes: Buffer): Mark | undefined {
  try {
    const { cloudId, hostId, disk, id, uses } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
    if (![cloudId, hostId, disk, id].every((each) => typeof each === 'string')) return undefined;
    if (!Number.isSafeInteger(uses)) return undefined;
    return { cloudId, hostId, disk, id, uses } as Mark;
  } catch {
    return undefined;
  }
}

/** Of the file of all remembered disks; where it can't be read the marks themselves say whose the disks are. */
export function readRemembered(bytes: Buffer | undefined): Map<string, Remembered> {
  try {
    const saved = JSON.parse(bytes?.toString('utf8') ?? '{}') as Record<string, Remembered>;
    return new Map(Object.entries(saved));
  } catch {
    return new Map();
  }
}

async function namesIn(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isNoEntry(error)) return undefined;
    throw error;
  }
}
