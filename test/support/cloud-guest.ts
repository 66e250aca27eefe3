/** Debian's cloud guest for live tests (deploy/cloud-guest): built once for each version of its builder and the release, and kept. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { testCache as cache } from '../../cli/cloud/throw-away.ts';
import { mustRun, repository } from './live-cloud.ts';

const recipe = ['deploy/cloud-guest/build', 'deploy/guest-image/initrd-init'];

/** The file of the image. */
export async function ensureCloudGuest(): Promise<string> {
  const hash = createHash('sha256');
  for (const path of recipe) hash.update(readFileSync(join(repository, path)));
  hash.update(readFileSync('/etc/debian_version'));
  const file = join(cache, `cloud-guest-${hash.digest('hex').slice(0, 12)}.qcow2`);
  if (existsSync(file)) return file;
  mkdirSync(cache, { recursive: true });
  // Left by builds that were cut short, or of older recipes.
  for (const name of readdirSync(cache)) {
    if (/^(\.cloud-guest\.|cloud-guest-.*\.qcow2$)/.test(name)) rmSync(join(cache, name), { recursive: true });
  }
  await mustRun(join(repository, recipe[0]!), [file], { deadlineMs: 600_000 });
  return file;
}
