import { type ServerAction, shortlyMs } from './action.ts';

/** By the guest's own hand, while it obeys its power button. */
export const softReboot: ServerAction = {
  verb: 'reboot soft',
  call: 'reboot',
  doing: 'reboot a server',
  deadlineMs: 5 * 60_000,
  decide: () => ({ reboot: 'soft', power: 'on' }),
};

/** Of a server that is off it is a start, as in Nova; one that is suspended loses what was in its memory. */
export const hardReboot: ServerAction = {
  verb: 'reboot hard',
  call: 'reboot',
  doing: 'reboot a server',
  deadlineMs: shortlyMs,
  decide: () => ({ reboot: 'hard', power: 'on' }),
};
