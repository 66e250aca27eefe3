/** Processor time of a cloud's processes: it holds still where other work slows the clock. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { childrenByParent, withDescendants } from '../../cli/supervisor/process-table.ts';

/** The processes whose pids lie in the directory, and what they have started: PostgreSQL's are no part of its session. */
export function cloudPids(directory: string): string[] {
  const children = childrenByParent();
  const leaders = readdirSync(directory).map((name) => Number(readFileSync(join(directory, name), 'utf8').trim()));
  return leaders.flatMap((leader) => withDescendants(leader, children)).map(String);
}

/** What they have used of a processor, in steps of ten milliseconds. */
export const cpuMs = (pids: readonly string[]): number =>
  pids.map(statOf).reduce((sum, stat) => sum + (stat ? (Number(stat[11]) + Number(stat[12])) * 10 : 0), 0);

/** The same of one process and all below it, those that have ended among them: each backend of PostgreSQL leads a session of its own. */
export const treeCpuMs = (root: number): number =>
  withDescendants(root, childrenByParent()).reduce((sum, pid) => {
    const stat = statOf(String(pid));
    return sum + 10 * (stat?.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0) ?? 0);
  }, 0);

/** The fields behind the command's name; undefined where the process is gone. */
function statOf(pid: string): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return undefined;
  }
}
