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

/** Of one hypervisor that Nova dropped with its release 23, and the actions with it. */
const gone = (name: string) =>
  action({
    summary: 'Of a hypervisor that is in no Nova any more',
    rights: 'caller',
    answers: {},
    run: ({ reply }) => reply.code(410).send(novaFault(410, `The ${name} action is gone: no hypervisor has it.`)),
  });

export const resetNetwork = gone('resetNetwork');
export const injectNetworkInfo = gone('injectNetworkInfo');
