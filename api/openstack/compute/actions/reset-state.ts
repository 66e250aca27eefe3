import { Type } from 'typebox';
import { serverActions } from '../../../../control/compute/server/index.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

export const resetState = action({
  summary: "Reset a server's state",
  rights: 'admin',
  body: v.strict({ state: Type.Enum(['active', 'error']) }),
  answers: accepted,
  run: ({ servers, caller, id }, { state }) => servers.act(caller, id, serverActions.resetState, state),
});
