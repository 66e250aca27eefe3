/** Every route of the placement dialect, held to its contract. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { holdDocument } from '../../boundary/testing/documents.ts';
import { type AnyRank, type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { type PlacementDialectOptions, placementDialect, placementInfo } from './index.ts';
import { placementApi } from './testing.ts';

const api = await placementApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const as = (...roles: string[]): Caller => ({ ...member, userId: newId(), roles: new Set(roles) });
const callers = {
  ...{ member, admin, reader: as('reader'), outsider: as('cook') },
  ...{ manager: as('manager', 'member', 'reader'), service: as('service') },
};
const host = await api.cloud.addHost();

const walk: Walk<AnyRank> = {
  entries: api.entries,
  versions: [0, 39],
  tries: 5,
  path: () => ({ uuid: host, name: 'VCPU', consumer: newId() }),
  body: () => undefined,
  async call({ method, url, payload, version, as }) {
    const { status, body } = await api.call(as ? callers[as] : null, method, url.replace(/^\/?placement/, ''), {
      version,
      ...(payload === undefined ? {} : { raw: payload }),
    });
    return { status, text: JSON.stringify(body) };
  },
};

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 50);
});

test('every route asks for the rights that its contract says', () => walkRights(walk));

test('the document that is checked in tells what the routes do', () =>
  holdDocument('placement', placementInfo, placementDialect({} as PlacementDialectOptions)));
