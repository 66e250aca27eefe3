import type { GuestRequest } from './request.ts';

/** A non-maskable interrupt: a guest that is set up for it writes down why it hangs. */
export const triggerCrashDump: GuestRequest = {
  verb: 'trigger_crash_dump',
  doing: 'trigger a crash dump of a server',
  ask: (hosts, { host, id }) => hosts.injectNmi(host, id),
};
