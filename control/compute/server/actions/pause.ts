import { type ServerAction, shortlyMs } from './action.ts';

/** The guest stands still, and its memory stays where it is. A restart of its machine ends it. */
export const pause: ServerAction = {
  verb: 'pause',
  doing: 'pause a server',
  deadlineMs: shortlyMs,
  decide: () => ({ power: 'paused' }),
};

export const unpause: ServerAction = {
  verb: 'unpause',
  doing: 'unpause a server',
  deadlineMs: shortlyMs,
  decide: () => ({ power: 'on' }),
};
