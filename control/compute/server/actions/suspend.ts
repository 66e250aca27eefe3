import { bytesMs, type ServerAction } from './action.ts';

/** The guest's memory becomes a file of its host's: what it did goes on after a restart of the machine too. */
export const suspend: ServerAction = {
  verb: 'suspend',
  doing: 'suspend a server',
  deadlineMs: bytesMs,
  decide: () => ({ power: 'suspended' }),
};

export const resume: ServerAction = {
  verb: 'resume',
  doing: 'resume a server',
  deadlineMs: bytesMs,
  decide: () => ({ power: 'on' }),
};
