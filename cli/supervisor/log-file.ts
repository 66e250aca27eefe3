/**
 * Log files of supervised processes. A process writes to its file itself, through an inherited descriptor opened for
 * appending, so its log goes on while no supervisor lives. Bounded by copying the file aside and truncating it: with
 * O_APPEND the writer goes on at the new end. What is written between copy and truncation is lost; that is the price of
 * a log that depends on nobody.
 */
import { closeSync, copyFileSync, fstatSync, mkdirSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';

const maxBytes = 8 * 1024 * 1024;

export function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
  return openSync(file, 'a', 0o640);
}

/** Keeps at most two files of `limit` bytes (plus what a pass missed). Never throws: a full disk must stop nothing. */
export function boundLog(file: string, limit = maxBytes): void {
  try {
    if (statSync(file).size <= limit) return;
    try {
      copyFileSync(file, `${file}.1`);
    } finally {
      truncateSync(file, 0);
    }
  } catch {
    // The file is gone, or there is no room for the copy (it was truncated nevertheless).
  }
}

/** The last `count` lines; reads only the end of the file. */
export function lastLines(file: string, count: number): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return [];
  }
  try {
    const size = fstatSync(descriptor).size;
    const bytes = Buffer.alloc(Math.min(size, Math.max(64 * 1024, count * 512)));
    const read = readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.toString('utf8', 0, read).replace(/\n$/, '').split('\n');
    return lines.slice(bytes.length < size ? 1 : 0).slice(-count);
  } finally {
    closeSync(descriptor);
  }
}
