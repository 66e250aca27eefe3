/**
 * What is to be done next to a server's ephemeral and swap disks while no QEMU has them open. Pure.
 *
 * An ephemeral disk grows only where what it was is kept, or no resize can be taken back any more, so a revert never cuts off what a guest
 * has written; swap has nothing to lose, and is made anew in another size.
 */
import type { DesiredLocalDisk, DesiredServer } from '../../contract/host/index.ts';
import type { LocalDiskFile } from '../disk/local-disk.ts';

export type LocalDiskStep =
  | { do: 'make-local-disk'; disk: DesiredLocalDisk }
  | { do: 'grow-local-disk'; from: LocalDiskFile; to: LocalDiskFile }
  | { do: 'drop-local-disk'; disk: LocalDiskFile };

type Wanted = Pick<DesiredServer, 'localDisks' | 'resize'>;

export function localDiskStep(
  { localDisks = [], resize }: Wanted,
  files: readonly LocalDiskFile[],
  kept: readonly LocalDiskFile[],
): LocalDiskStep | undefined {
  const isKept = (disk: string) => kept.some(({ name }) => name === disk);
  for (const file of files) {
    const wanted = localDisks.find(({ name }) => name === file.name);
    const another = wanted?.sizeMiB !== file.sizeMiB;
    if (!wanted || (another && wanted.format === 'swap')) return { do: 'drop-local-disk', disk: file };
    if (wanted.sizeMiB > file.sizeMiB && (resize?.state !== 'kept' || isKept(file.name))) {
      return { do: 'grow-local-disk', from: file, to: { name: wanted.name, sizeMiB: wanted.sizeMiB } };
    }
  }
  const missing = localDisks.find(({ name }) => !files.some((file) => file.name === name));
  return missing && { do: 'make-local-disk', disk: missing };
}
