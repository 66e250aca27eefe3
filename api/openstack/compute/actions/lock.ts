import { type TSchema, Type } from 'typebox';
import { serverActions } from '../../../../control/compute/server/index.ts';
import { Versions } from '../../../boundary/contract.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

const reason = () => Type.Union([Type.Null(), v.strict({ locked_reason: Type.Optional(v.text(1, 255)) })]);

export const lock = action({
  summary: 'Lock a server',
  rights: 'member',
  body: new Versions<TSchema>({ 1: () => Type.Unknown(), 73: reason }),
  answers: accepted,
  run({ servers, caller, id, request }, argument) {
    const said =
      request.microversion >= 73 ? (argument as { locked_reason?: string } | null)?.locked_reason : undefined;
    return servers.act(caller, id, serverActions.lock, { reason: said ?? null });
  },
});

export const unlock = action({
  summary: 'Unlock a server',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.unlock),
});
