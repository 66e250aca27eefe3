import { Type } from 'typebox';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

export const start = action({
  summary: 'Start a server',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.power(caller, id, 'start', 'start'),
});

export const stop = action({
  summary: 'Stop a server',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.power(caller, id, 'stop', 'stop'),
});

export const reboot = action({
  summary: 'Reboot a server',
  rights: 'member',
  body: v.strict({ type: Type.Enum(['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']) }),
  answers: accepted,
  run: ({ servers, caller, id }, { type }) =>
    servers.power(caller, id, type.toLowerCase() === 'hard' ? 'reboot hard' : 'reboot soft', 'reboot'),
});
