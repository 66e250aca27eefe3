/** Every route of the compute dialect that has a contract, held to it. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { computeApi } from './testing.ts';

const api = await computeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const reader: Caller = { ...member, userId: newId(), roles: new Set(['reader']) };
const callers = { reader, member, admin };
const make = async (path: string, body: object): Promise<{ id: string }> => {
  const answer = await api.call(admin, 'POST', path, { body, version: 'latest' });
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return Object.values(answer.body)[0] as { id: string };
};
const flavor = await make('/flavors', { flavor: { name: 'walked', ram: 64, vcpus: 1, disk: 1, id: 'walked' } });

const walk: Walk = {
  entries: api.entries,
  versions: [1, 96],
  path: ({ url, method }) => ({
    // What is deleted is another one each time, so that the rest stays.
    id: method !== 'DELETE' && url.includes('/flavors/') ? flavor.id : newId(),
    key: 'x',
    tag: 'x',
    name: 'x',
    project: member.projectId!,
    alias: 'os-keypairs',
  }),
  body: ({ url, method }) => {
    if (method !== 'PUT' || !url.endsWith('/:key')) return undefined;
    return url.includes('/metadata/') ? { meta: { x: '1' } } : { x: '1' };
  },
  async call({ method, url, payload, version, as }) {
    const { status, body } = await api.call(as ? callers[as] : null, method, `/${url}`, {
      version,
      ...(payload === undefined ? {} : { raw: payload }),
    });
    return { status, text: JSON.stringify(body) };
  },
};

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 200);
});

test('every route asks for the rights that its contract says', () => walkRights(walk));
