import { Type } from 'typebox';
import { serverActions } from '../../../../control/compute/server/index.ts';
import { novaFault } from '../faults.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

export const resetState = action({
  summary: "Reset a server's state",
  rights: 'admin',
  body: v.strict({ state: Type.Enum(['active', 'error']) }),
  answers: accepted,
  run: ({ servers, caller, id }, { state }) => servers.act(caller, id, serverActions.resetState, state),
});

/** Of one hypervisor that Nova dropped with its release 23, and the action with it. */
export const resetNetwork = action({
  summary: "Reset a server's network: in no Nova any more",
  rights: 'caller',
  answers: {},
  run: ({ reply }) => reply.code(410).send(novaFault(410, 'The resetNetwork action is gone: no hypervisor has it.')),
});
