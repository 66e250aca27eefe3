/**
 * Who a control process is to the leases (control/kit/leadership): a new one, or the next life of the one before it.
 *
 * A lease lasts six seconds after its holder's last sign of life, for it might only be frozen. Where the holder ran on this machine,
 * the kernel knows better: a process whose pid is free, or belongs to one that began at another time, is dead and writes
 * nothing more. Then this process takes up its identity, and with it its leases, without waiting. The supervisor's word is not
 * asked: it may have died itself and not know of an older control that still lives. A boot or a pid namespace other than ours
 * proves nothing, and what is not proven waits.
 *
 * Owns one file in the run directory. It is claimed by a rename, so of two that start at once only one finds it. If the process dies
 * between claim and writing, the next one is new, and waits for the lease to end.
 */
import { readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { newId } from '../../contract/ids.ts';
import { writeWhole } from '../../control/kit/files.ts';
import { startTicks } from '../supervisor/process-table.ts';

interface Life {
  holder: string;
  boot: string;
  namespace: string;
  pid: number;
  started: number;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The identity of this process, noted in `file` for the one after it. */
export function leaseHolder(file: string): string {
  const self = {
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    namespace: readlinkSync('/proc/self/ns/pid'),
    pid: process.pid,
    started: startTicks(process.pid) ?? 0,
  };
  const mine = `${file}.${process.pid}`;
  const before = claim(file, mine);
  const holder = before && isDead(before, self) ? before.holder : newId();
  writeWhole(mine, `${JSON.stringify({ ...self, holder } satisfies Life)}\n`, { mode: 0o600 });
  renameSync(mine, file);
  return holder;
}

function claim(file: string, mine: string): Life | undefined {
  try {
    renameSync(file, mine);
    const life = JSON.parse(readFileSync(mine, 'utf8'));
    return uuid.test(life?.holder) && Number.isSafeInteger(life.pid) && life.pid > 0 ? life : undefined;
  } catch {
    // The first on this machine since its boot, or not readable: a new one.
    return undefined;
  } finally {
    rmSync(mine, { force: true });
  }
}

function isDead(life: Life, self: Omit<Life, 'holder'>): boolean {
  if (life.boot !== self.boot || life.namespace !== self.namespace) return false;
  try {
    process.kill(life.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
  }
  // Somebody has the pid. Where /proc hides who, it may be the same.
  const started = startTicks(life.pid);
  return started !== undefined && started !== life.started;
}
