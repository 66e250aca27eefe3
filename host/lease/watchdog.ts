/**
 * The process that ends guests' right to run when the lease ends, whatever the host process is at by then: frozen, dead, or busy. It knows two
 * things, files in the directory that it is given: when the lease ends (`ends`, in ms since the machine's start), which guests go by it
 * (`guests/<id>`: the process, and whether it is paused or stopped), and says which it stopped (`ended/<id>`). It never lets a guest go on: the host
 * process does, when it has heard what is its own.
 *
 * Paused is SIGSTOP: no instruction of the guest, and no reading or writing of QEMU's that had not begun. Stopped is SIGKILL. What can't be read
 * counts as a lease that has ended; what can't be written (a run directory that is full) keeps no guest alive.
 *
 * Owns nothing. If it dies the host process starts it again; if both die at once guests run on, which is why a host that has lost both is fenced.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTimeOf } from '../../engine/process-identity.ts';
import { bootTimeMs } from './clock.ts';
import { type GuardedGuest, lookMs } from './guarded.ts';

const directory = process.argv[2];
if (!directory) throw new Error('the directory of the lease is missing');
const guests = join(directory, 'guests');
const ended = join(directory, 'ended');
for (const folder of [guests, ended]) mkdirSync(folder, { recursive: true, mode: 0o700 });
try {
  // Guests are large and may be taken for want of memory; who watches them must not be.
  writeFileSync('/proc/self/oom_score_adj', '-900');
} catch {
  // A container whose root may not.
}

function endsAtMs(): number {
  try {
    return Number.parseInt(readFileSync(join(directory!, 'ends'), 'latin1'), 10) || 0;
  } catch {
    return 0;
  }
}

function guarded(): { id: string; guest: GuardedGuest }[] {
  return readdirSync(guests).flatMap((id) => {
    try {
      return id.startsWith('.')
        ? []
        : [{ id, guest: JSON.parse(readFileSync(join(guests, id), 'utf8')) as GuardedGuest }];
    } catch {
      // It goes at this moment.
      return [];
    }
  });
}

function end({ id, guest: { pid, startTime, onLeaseEnd } }: { id: string; guest: GuardedGuest }): void {
  if (startTimeOf(pid) !== startTime) return;
  // Before it ends: who finds it gone must know why. But it may not run on for want of that.
  if (onLeaseEnd === 'stop') tried(() => writeFileSync(join(ended, id), startTime));
  // It may have ended by itself.
  tried(() => process.kill(pid, onLeaseEnd === 'stop' ? 'SIGKILL' : 'SIGSTOP'));
}

function tried(work: () => void): void {
  try {
    work();
  } catch {}
}

function look(): void {
  if (bootTimeMs() >= endsAtMs()) guarded().forEach(end);
}

look();
setInterval(look, lookMs);
writeFileSync(join(directory, 'watches'), `${process.pid}\n`);
