/** The demo's guest image: built by deploy/guest-image once for each version of the builder and the Debian release. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../command.ts';
import { sourceRoot } from '../process/definitions.ts';
import { tryRun } from '../run.ts';
import type { Progress } from '../terminal.ts';

const builder = join(sourceRoot, 'deploy/guest-image');

export interface GuestImage {
  file: string;
  /** Of everything that goes into the image, except the packages. */
  recipe: string;
  /** False where a finished one was found. */
  built: boolean;
}

export async function ensureGuestImage(cache: string, progress: Progress): Promise<GuestImage> {
  const recipe = recipeHash();
  const file = join(cache, `guest-${recipe}.qcow2`);
  if (existsSync(file)) return { file, recipe, built: false };
  mkdirSync(cache, { recursive: true });
  // Left by builds that were cut short, or of older recipes.
  for (const name of readdirSync(cache)) {
    if (/^(\.guest-image\.|guest-.*\.qcow2$)/.test(name)) rmSync(join(cache, name), { recursive: true, force: true });
  }
  const result = await tryRun(join(builder, 'build'), [file, join(cache, 'packages')], {
    onOutput: (text) => {
      const line = text.split('\n').findLast((entry) => entry.startsWith('progress: '));
      if (line !== undefined) progress.detail(line.slice('progress: '.length));
    },
  });
  if (result.code !== 0) {
    const said = result.stderr
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('progress: '))
      .slice(-6);
    throw new CommandError(
      `the guest image could not be built:\n  ${said.join('\n  ')}`,
      `check that the package mirror is reachable and the disk not full, then run the command again. Where there is no way out
    (a network namespace of its own), build it elsewhere: ${join(builder, 'build')} ${file}`,
    );
  }
  return { file, recipe, built: true };
}

function recipeHash(): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync(builder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(builder, entry);
    if (entry.endsWith('.md') || !statSync(path).isFile()) continue;
    hash.update(`${entry}\0`).update(readFileSync(path));
  }
  hash.update(readFileSync('/etc/debian_version'));
  return hash.digest('hex').slice(0, 12);
}
