/**
 * A cloud is its data directory; everything that it owns elsewhere on the machine carries its `tag`, so that several
 * clouds can share a machine.
 */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Where a cloud keeps things. */
export interface CloudPaths {
  data: string;
  /** Four hex digits of the data directory's path: in the names of bridges, taps, namespaces and nft tables. */
  tag: string;
  /** Short (a unix socket's path has at most 107 bytes) and gone after a reboot. */
  run: string;
  log: string;
  cache: string;
  settingsFile: string;
  /** The data directory's marker: a directory without it is never purged. */
  identityFile: string;
}

export const defaultDataDirectory = '/var/lib/bothy';

export function cloudPaths(data: string): CloudPaths {
  const path = canonical(resolve(data));
  const tag = createHash('sha256').update(path).digest('hex').slice(0, 4);
  return {
    data: path,
    tag,
    run: `/run/bothy/${tag}`,
    log: join(path, 'log'),
    cache: join(path, 'cache'),
    settingsFile: join(path, 'bothy.conf'),
    identityFile: join(path, 'cloud.json'),
  };
}

/** What a command line needs beyond the command, to mean this cloud. */
export const dataArgument = ({ data }: CloudPaths): string =>
  data === defaultDataDirectory ? '' : ` --data ${/^[\w./@-]+$/.test(data) ? data : `'${data}'`}`;

/** The path with symbolic links resolved as far as it exists, so that two ways to one directory are one cloud. */
function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(canonical(parent), path.slice(parent === '/' ? 1 : parent.length + 1));
  }
}
