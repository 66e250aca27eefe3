import { type ServerAction, shortlyMs } from './action.ts';

export const start: ServerAction = {
  verb: 'start',
  doing: 'start a server',
  deadlineMs: shortlyMs,
  decide: () => ({ power: 'on' }),
};
