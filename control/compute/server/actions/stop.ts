import { type ServerAction, shortlyMs } from './action.ts';

/** The guest is asked first, and ended when it does not obey. */
export const stop: ServerAction = {
  verb: 'stop',
  doing: 'stop a server',
  deadlineMs: shortlyMs,
  decide: () => ({ power: 'off' }),
};
