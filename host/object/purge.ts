/**
 * The end of a cloud's object disks on this machine: what lies under intents goes, the mark last. A disk whose mark is not this cloud's and host's
 * stays as it is, and so does what is not ours on one that is. No host process runs. Safe to repeat.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { objectIntentsDirectory } from '../../contract/host/index.ts';
import { readIfThere } from '../files.ts';
import { markName, readMark, readRemembered, rememberedName } from './mark.ts';
import { scrubNoteName } from './scrub.ts';

interface CloudAndHost {
  cloudId: string;
  hostId: string;
}

/** @param dataDirectory the host's */
export async function purgeObjectDisks(dataDirectory: string, owner: CloudAndHost): Promise<void> {
  for (const path of await ownDisks(dataDirectory, owner)) {
    rmSync(join(path, objectIntentsDirectory), { recursive: true, force: true });
    rmSync(join(path, scrubNoteName), { force: true });
    rmSync(join(path, markName), { force: true });
  }
}

/** Whether a purge would remove bytes of objects. @param dataDirectory the host's */
export async function keepsObjects(dataDirectory: string, owner: CloudAndHost): Promise<boolean> {
  const intents = (await ownDisks(dataDirectory, owner)).map((path) => join(path, objectIntentsDirectory));
  return intents.some((path) => existsSync(path) && readdirSync(path).length > 0);
}

async function ownDisks(dataDirectory: string, { cloudId, hostId }: CloudAndHost): Promise<string[]> {
  const remembered = readRemembered(await readIfThere(join(dataDirectory, rememberedName)));
  const own: string[] = [];
  for (const { path } of remembered.values()) {
    const bytes = await readIfThere(join(path, markName)).catch(() => undefined);
    const mark = bytes && readMark(bytes);
    if (mark?.cloudId === cloudId && mark.hostId === hostId) own.push(path);
  }
  return own;
}
