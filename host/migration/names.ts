/** What belongs to a server's migration in a QEMU and beside it. Pure. */
import { join } from 'node:path';
import type { DesiredServer } from '../../contract/host/index.ts';
import type { ServerPaths } from '../paths.ts';
import { movedVolume, movedVolumeNode } from '../volume/index.ts';

/** A disk's job, and the node by which the source writes to the target's: no other node or job is called so. */
export const jobOf = (disk: string): string => `migrate-${disk}`;
export const remoteNode = (disk: string): string => movedVolumeNode(disk) ?? `migrated-${disk}`;

/** The export into which the source writes when all else is there: of a server that is off nothing else tells the target so. */
export const endName = 'end';
export const configDriveName = 'config-drive';
const firmwareName = 'firmware-variables';

type Moved = Pick<DesiredServer, 'image' | 'localDisks' | 'configDrive' | 'hardware' | 'volumes'>;

/**
 * The disks that are sent, as both sides find them by the document. A guest that runs has its config drive in its caches, and its firmware's variables
 * go with its memory; of one that is off the drive is made anew with its next start, and its swap has nothing to keep. A volume is its top alone: what that
 * builds on is there.
 */
export function disksOf(
  { image, localDisks = [], configDrive, hardware, volumes = [] }: Moved,
  mode: 'live' | 'cold',
): string[] {
  const kept = localDisks.map(({ name }) => name).filter((name) => mode === 'live' || name !== 'swap');
  const firmware = hardware?.firmware !== undefined && hardware.firmware !== 'bios';
  return [
    ...(image ? ['disk'] : []),
    ...kept,
    ...volumes.map(({ id }) => movedVolume(id)),
    ...(mode === 'live' && configDrive ? [configDriveName] : []),
    ...(mode === 'cold' && firmware ? [firmwareName] : []),
    ...(mode === 'cold' ? [endName] : []),
  ];
}

/** Where its key lies while it lasts; the directory goes with the guest's sockets. */
export const keyDirectory = ({ run }: Pick<ServerPaths, 'run'>): string => join(run, 'migration');
/** What the source writes at its end. */
export const endPath = ({ data }: Pick<ServerPaths, 'data'>): string => join(data, 'migration-end');
