/** What the host process and the watchdog say to each other, by files. Pure. */
import type { DesiredServer } from '../../contract/host/index.ts';

/** What becomes of a guest when the lease ends. */
export type OnLeaseEnd = NonNullable<DesiredServer['onLeaseEnd']>;

export interface GuardedGuest {
  pid: number;
  /** Of that process: another one with the same pid is not meant. */
  startTime: string;
  onLeaseEnd: OnLeaseEnd;
}

/** How long after its end the watchdog sees it at the latest, in ms, if the machine gives it a processor. */
export const lookMs = 200;
