/** Another commit's code, to be measured beside this work tree's in one run. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Processes from '../../test/support/cloud-processes.ts';

const root = join(import.meta.dirname, '../..');
const git = (...args: string[]): string => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim();

/** The last landed: main's newest commit, or the one before where this work tree is just that. */
export function lastLanded(): string {
  const landed = git('merge-base', 'HEAD', 'main');
  const changed = landed !== git('rev-parse', 'HEAD') || git('status', '--porcelain') !== '';
  return changed ? landed : git('rev-parse', 'HEAD~1');
}

/** Unpacks the commit into the directory and answers its name. It runs on the packages that are installed here. */
export function unpackCommit(commit: string, directory: string): string {
  mkdirSync(directory);
  const archive = execFileSync('git', ['-C', root, 'archive', commit], { maxBuffer: 2 ** 30 });
  execFileSync('tar', ['-x', '-C', directory], { input: archive });
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  return git('log', '-1', '--format=%h %s', commit);
}

/** How clouds of the commit are started, by its own code. */
export async function besideCommit(
  commit: string,
  directory: string,
): Promise<{ name: string; startCloudProcesses: typeof Processes.startCloudProcesses }> {
  const name = unpackCommit(commit, directory);
  const module = pathToFileURL(join(directory, 'test/support/cloud-processes.ts')).href;
  return { name, ...((await import(module)) as typeof Processes) };
}
