/**
 * Log files of supervised processes. A process writes to its file itself, through an inherited descriptor opened for
 * appending, so its log goes on while no supervisor lives. Bounded by copying the file aside and truncating it: with
 * O_APPEND the writer goes on at the new end. What is written between copy and truncation is lost; that is the price of
 * a log that depends on nobody.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const maxBytes = 8 * 1024 * 1024;

/**
 * Keeps at most two files of about `limit` bytes. Never throws: a full disk must stop nothing. Some log directories belong
 * to an unprivileged user, so as root nothing is followed that this user could have laid in the way.
 */
export function boundLog(file: string, limit = maxBytes): void {
  try {
    if (lstatSync(file).size <= limit) return;
    const source = openPlain(file, constants.O_RDWR);
    try {
      const size = fstatSync(source).size;
      const tail = Buffer.alloc(Math.min(size, limit));
      const read = readSync(source, tail, 0, tail.length, size - tail.length);
      try {
        const aside = openPlain(`${file}.1`, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC);
        try {
          writeSync(aside, tail, 0, read);
        } finally {
          closeSync(aside);
        }
      } finally {
        ftruncateSync(source, 0);
      }
    } finally {
      closeSync(source);
    }
  } catch {
    // The file is gone, or there is no room for the copy (it was truncated nevertheless).
  }
}

function openPlain(file: string, flags: number): number {
  const descriptor = openSync(file, flags | constants.O_NOFOLLOW, 0o640);
  const facts = fstatSync(descriptor);
  if (facts.isFile() && facts.nlink === 1) return descriptor;
  closeSync(descriptor);
  throw new Error(`${file} is no plain file`);
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

/** Every log file below a directory (`*.log`); the name is the process's. */
export function logFiles(directory: string): { name: string; file: string }[] {
  let entries: string[];
  try {
    entries = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return entries
    .filter((entry) => entry.endsWith('.log'))
    .sort()
    .map((entry) => ({ name: entry.slice(entry.lastIndexOf('/') + 1, -'.log'.length), file: join(directory, entry) }));
}
