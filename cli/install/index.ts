/** What a command must find on the machine before it can work: packages and users. Fast where nothing is missing. */
import { CommandError } from '../command.ts';
import { step } from '../terminal.ts';
import { installationInterrupted, installPackages, missingPackages } from './apt.ts';
import { type NeededPackage, type PackageSet, packageSets } from './packages.ts';
import { ensureUsers, missingUsers } from './users.ts';

/** @param also beside the set. Answers whether anything had to be done. */
export async function ensureInstalled(set: PackageSet, also: readonly NeededPackage[] = []): Promise<boolean> {
  if (process.platform !== 'linux') throw new CommandError('Bothy runs on Linux only', 'use a Debian 12 machine');
  const interrupted = installationInterrupted();
  const wanted = [...packageSets[set], ...also];
  const missing = await missingPackages(wanted);
  if (missing.length > 0 || interrupted) {
    const needed = interrupted && missing.length === 0 ? wanted : missing;
    const names = missing.map((item) => item.name).join(' ');
    await step(
      `installing ${missing.length} Debian packages`,
      (progress) => installPackages(needed, progress),
      () => names,
    );
  }
  if (missingUsers().length > 0) await step('making system users', ensureUsers);
  return missing.length > 0;
}
