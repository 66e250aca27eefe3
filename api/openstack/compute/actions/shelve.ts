import { type Static, type TSchema, Type } from 'typebox';
import { serverActions } from '../../../../control/compute/server/index.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

export const shelve = action({
  summary: 'Shelve a server: its disk becomes an image, and it leaves its host',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.shelve),
});

export const shelveOffload = action({
  summary: 'Take a shelved server from its host',
  rights: 'admin',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.shelveOffload),
});

const zone = v.text(1, 255);

/** nova/api/openstack/compute/schemas/shelve.py; before 2.77 anything is taken, and nothing read. */
const wish = v.strict({
  availability_zone: Type.Optional(Type.Union([zone, Type.Null()])),
  host: Type.Optional(v.text(1, 255)),
});

export const unshelve = action({
  summary: 'Let a shelved server run again, where it is asked for or there is room',
  rights: 'member',
  body: v.since([1, 77, 91], (version): TSchema => {
    if (version < 77) return Type.Unknown();
    return Type.Union([Type.Null(), version < 91 ? v.strict({ availability_zone: zone }) : wish]);
  }),
  answers: accepted,
  run({ servers, caller, id, request }, argument) {
    const asked = request.microversion >= 77 ? (argument as Static<typeof wish> | null) : null;
    return servers.act(caller, id, serverActions.unshelve, {
      host: asked?.host ?? null,
      ...(asked?.availability_zone !== undefined && { zone: asked.availability_zone }),
    });
  },
});
