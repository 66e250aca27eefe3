/**
 * Who a process is, by what it cannot choose itself: the user it runs as, the program that it runs, when it began. A command
 * line is its own word, which any local user can say, so it is never enough to take a process for ours.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

export interface ProcessIdentity {
  pid: number;
  /** Undefined where real, effective, saved and file system user are not one: such a process is in the middle of a change. */
  uid: number | undefined;
  /** File name of the program; undefined where only root may know. */
  program: string | undefined;
  /** In clock ticks since boot: tells a process from a later one with the same pid. */
  startTime: string;
}

/** Undefined where the process is gone or a zombie. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startTime = startTimeOf(pid);
  const status = read(`/proc/${pid}/status`);
  if (startTime === undefined || status === undefined) return undefined;
  const uids = /^Uid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)$/m.exec(status)?.slice(1) ?? [];
  const uid = new Set(uids).size === 1 ? Number(uids[0]) : undefined;
  return { pid, uid, program: programOf(pid), startTime };
}

/** In clock ticks since boot; undefined where the process is gone or a zombie. */
export function startTimeOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

/** Its own word about how it was called; empty where it is gone. */
export function commandLineOf(pid: number): string[] {
  return read(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
}

/** After an upgrade of its package a running program is '… (deleted)'. */
function programOf(pid: number): string | undefined {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''));
  } catch {
    return undefined;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
