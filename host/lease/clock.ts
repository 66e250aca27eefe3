/**
 * The clock by which a lease ends: time since this machine's start, which nobody sets and which goes on while the machine sleeps (CLOCK_BOOTTIME, in
 * /proc/uptime to the hundredth of a second). Node's own clock stands still meanwhile. What a hypervisor does to a machine that it pauses no clock of
 * it tells.
 */
import { readFileSync } from 'node:fs';

/** Since the start of the machine, in ms. */
export const bootTimeMs = (): number => Math.round(Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * 1000);
