/** What a command must find on the machine before it can work: packages and users. Fast where nothing is missing. */
import { CommandError } from '../command.ts';
import { step } from '../terminal.ts';
import { installationInterrupted, installPackages, missingPackages } from './apt.ts';
import { type PackageSet, packageSets } from './packages.ts';
import { ensureUsers, missingUsers } from './users.ts';

/** Answers whether anything had to be done. */
export async function ensureInstalled(set: PackageSet): Promise<boolean> {
  if (process.platform !== 'linux') throw new CommandError('Bothy runs on Linux only', 'use a Debian 12 machine');
  const interrupted = installationInterrupted();
  const missing = await missingPackages(packageSets[set]);
  if (missing.length > 0 || interrupted) {
    const needed = interrupted && missing.length === 0 ? packageSets[set] : missing;
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
