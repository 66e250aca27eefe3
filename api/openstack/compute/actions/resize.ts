import { Type } from 'typebox';
import { serverActions } from '../../../../control/compute/server/index.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

export const resize = action({
  summary: 'Give a server another flavor, to be confirmed',
  rights: 'member',
  body: v.strict({
    flavorRef: Type.Union([v.text(1, 255), Type.Integer()]),
    'OS-DCF:diskConfig': Type.Optional(v.diskConfig),
  }),
  answers: accepted,
  run: ({ servers, caller, id }, { flavorRef, 'OS-DCF:diskConfig': diskConfig }) =>
    servers.act(caller, id, serverActions.resize, {
      flavor: lastSegment(String(flavorRef)),
      ...(diskConfig && { diskConfig }),
    }),
});

export const confirmResize = action({
  summary: 'Confirm a resize',
  rights: 'member',
  answers: { 204: null },
  async run({ servers, caller, id, reply }) {
    await servers.act(caller, id, serverActions.confirmResize);
    return reply.code(204).send();
  },
});

export const revertResize = action({
  summary: 'Take a resize back: flavor and disk are what they were',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.revertResize),
});

/** Old clients send a flavor's URL. */
const lastSegment = (ref: string): string => (/^https?:\/\//.test(ref) ? (ref.split('/').at(-1) ?? ref) : ref);
