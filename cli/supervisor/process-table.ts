/** What /proc tells about processes. Linux only. Everything here answers "gone" for a process that vanishes meanwhile. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessFacts {
  pid: number;
  /** Resident memory. Shared pages (a PostgreSQL backend's, a second Node.js) are counted for each process. */
  rssMiB: number;
  /** The same with shared pages divided among those that share them; null where only root may know. */
  pssMiB: number | null;
  uptimeSeconds: number;
  /** Stopped by a signal or a debugger: it is there but does nothing. */
  halted: boolean;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The pid in the first line of a pid file, whether or not such a process lives. */
export function pidIn(file: string): number | undefined {
  const line = read(file)?.split('\n', 1)[0]?.trim();
  return line !== undefined && /^[1-9]\d*$/.test(line) ? Number(line) : undefined;
}

export function isAlive(pid: number): boolean {
  const state = statFields(pid)?.[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Fields of /proc/pid/stat from the third (state) on; the second may contain blanks and parentheses. */
function statFields(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** When the process began, in ticks after boot; with the pid it names a process until the next boot. */
export function startTicks(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields && Number(fields[19]);
}

export function processFacts(pid: number): ProcessFacts | undefined {
  const fields = statFields(pid);
  const status = read(`/proc/${pid}/status`);
  const uptime = read('/proc/uptime');
  if (fields === undefined || status === undefined || uptime === undefined) return undefined;
  const rss = /^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? '0';
  // USER_HZ is 100 on every Linux that we run on; field 22 of stat is the start in ticks after boot.
  const started = Number(fields[19]) / 100;
  const pss = /^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '')?.[1];
  const pssMiB = pss === undefined ? null : Number(pss) / 1024;
  return {
    pid,
    rssMiB: Number(rss) / 1024,
    pssMiB,
    uptimeSeconds: Math.max(0, Number.parseFloat(uptime) - started),
    halted: fields[0] === 'T' || fields[0] === 't',
  };
}

/** The process and everything below it, for totals (PostgreSQL is one engine but a handful of processes). */
export function withDescendants(root: number, children: Map<number, number[]>): number[] {
  return [root, ...(children.get(root) ?? []).flatMap((pid) => withDescendants(pid, children))];
}

export function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? statFields(Number(entry))?.[1] : undefined;
    if (parent === undefined) continue;
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(entry)]);
  }
  return children;
}

/** Processes whose working directory is the given one. Only root sees everybody's. */
export function pidsWorkingIn(directory: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === directory;
      } catch {
        return false;
      }
    });
}
