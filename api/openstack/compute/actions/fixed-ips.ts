/** Until 2.43 further addresses of a server, on networks on which it is; later clients ask the network service. */
import { Type } from 'typebox';
import { serverActions } from '../../../../control/compute/server/index.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

const proxy = { rights: 'member', versions: { to: 43 }, answers: accepted } as const;

export const addFixedIp = action({
  summary: 'Give a server another address on a network',
  ...proxy,
  // Of before there were UUIDs, in Nova's schema still.
  body: v.strict({ networkId: Type.Union([Type.String({ minLength: 1, maxLength: 36 }), Type.Number()]) }),
  run: ({ servers, caller, id }, { networkId }) => servers.act(caller, id, serverActions.addFixedIp, String(networkId)),
});

export const removeFixedIp = action({
  summary: 'Take an address from a server',
  ...proxy,
  body: v.strict({ address: v.ip }),
  run: ({ servers, caller, id }, { address }) => servers.act(caller, id, serverActions.removeFixedIp, address),
});
