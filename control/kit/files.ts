/** Files that are whole or not there. */
import {
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

export interface WriteOptions {
  mode: number;
  owner?: { uid: number; gid: number };
}

/** Writes aside, with its rights from the first byte on, then renames: readers see the old text or the new. */
export function writeWhole(file: string, text: string, options: WriteOptions): void {
  const aside = `${file}.new`;
  mkdirSync(dirname(file), { recursive: true });
  // A leftover might have other rights; `wx` makes sure that the file is ours.
  rmSync(aside, { force: true });
  const descriptor = openSync(aside, 'wx', options.mode);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (options.owner !== undefined) chownSync(aside, options.owner.uid, options.owner.gid);
  renameSync(aside, file);
}

/** As writeWhole, but leaves a file alone that has the text already. Answers whether it wrote. */
export function writeIfChanged(file: string, text: string, options: WriteOptions): boolean {
  if (readText(file) === text) return false;
  writeWhole(file, text, options);
  return true;
}

/** The file's text; undefined where there is none. */
export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
