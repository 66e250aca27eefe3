/** How busy the machine is and who is logged in, as the program `uptime` tells it. */
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import type { HostLoad } from '../contract/host/index.ts';

export async function machineLoad(utmpFile = '/run/utmp'): Promise<HostLoad> {
  // Where there is no such file nobody's login is kept in it.
  const utmp = await readFile(utmpFile).catch(() => Buffer.alloc(0));
  return { users: sessions(utmp), averages: loadavg().map((average) => Math.round(average * 100)) };
}

/** utmp(5) on Linux: records of 384 bytes that begin with their kind. */
const recordBytes = 384;
const userProcess = 7;

/** Records of people's sessions. */
export function sessions(utmp: Buffer): number {
  let count = 0;
  for (let at = 0; at + recordBytes <= utmp.length; at += recordBytes)
    if (utmp.readInt16LE(at) === userProcess) count++;
  return count;
}
