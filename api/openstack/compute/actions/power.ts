import { Type } from 'typebox';
import { serverActions } from '../../../../control/compute/server/index.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

export const start = action({
  summary: 'Start a server',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.start),
});

export const stop = action({
  summary: 'Stop a server',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.stop),
});

export const reboot = action({
  summary: 'Reboot a server',
  rights: 'member',
  body: v.strict({ type: Type.Enum(['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']) }),
  answers: accepted,
  run({ servers, caller, id }, { type }) {
    const { hardReboot, softReboot } = serverActions;
    return servers.act(caller, id, type.toLowerCase() === 'hard' ? hardReboot : softReboot);
  },
});
