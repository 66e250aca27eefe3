/**
 * What is done when the machine goes down: its servers move away as far as there is time, then the cloud's processes here are stopped in order, guests by ACPI. The time is logind's: it
 * waits for nobody longer than its InhibitDelayMaxSec.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { run } from '../run.ts';
import type { HostMaintenance } from './maintenance.ts';

/** Of a guest that is asked to power off. */
const guestMs = 30_000;
/** What the processes take to stop, and who is asked to be told. */
const spareMs = 5000;

export interface ShutdownTimes {
  drainMs: number;
  guestDeadlineMs: number;
}

/** Guests get their time to power off first, for that loses nothing; what is left of it is for moving them away. @param wantedMs what the setting allows */
export function shutdownTimes({ delayMs, wantedMs }: { delayMs: number; wantedMs: number }): ShutdownTimes {
  const allMs = Math.max(0, Math.min(delayMs, wantedMs) - spareMs);
  const guestDeadlineMs = Math.min(guestMs, allMs);
  return { drainMs: allMs - guestDeadlineMs, guestDeadlineMs };
}

/** How long logind waits for those who hold a shutdown back. Its own default where it does not say. */
export async function inhibitDelayMs(env: Record<string, string> = {}): Promise<number> {
  const manager = ['org.freedesktop.login1', '/org/freedesktop/login1', 'org.freedesktop.login1.Manager'];
  const asked = ['--system', '--json=short', 'get-property', ...manager, 'InhibitDelayMaxUSec'];
  try {
    const { data } = JSON.parse(await run('busctl', asked, { env, timeoutMs: 5000 }));
    return Number.isFinite(data) && data > 0 ? data / 1000 : 5000;
  } catch {
    return 5000;
  }
}

export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

type Drained = 'drained' | 'blocked' | 'late' | 'called off' | 'not asked';

/** Until nothing is left that goes by itself, or the time is over. A cloud that does not answer moves nothing. */
export async function drainFor(
  host: Pick<HostMaintenance, 'beginShutdown' | 'show'>,
  { drainMs, calledOff, everyMs = 1000 }: { drainMs: number; calledOff: AbortSignal; everyMs?: number },
): Promise<Drained> {
  const until = performance.now() + drainMs;
  let begun = false;
  let blocked = 0;
  while (performance.now() < until) {
    if (calledOff.aborted) return 'called off';
    try {
      if (!begun) await host.beginShutdown(bootId());
      begun = true;
      const found = await host.show();
      if (found === null || found.state === 'drained') return 'drained';
      blocked = found.state === 'blocked' ? blocked + 1 : 0;
      // What moves servers may not have looked yet.
      if (blocked > 2) return 'blocked';
    } catch {
      // It is tried again while there is time.
    }
    await wait(Math.min(everyMs, Math.max(0, until - performance.now())));
  }
  return begun ? 'late' : 'not asked';
}
