/** Every route of the native dialect, held to its contract. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '../../contract/ids.ts';
import { holdDocument } from '../boundary/testing/documents.ts';
import { type Walk, walkRights, walkWrongTypes } from '../boundary/testing/walk.ts';
import { makeTenant, type TestApi } from '../openstack/identity/testing.ts';
import type { NativeDeps } from './deps.ts';
import { nativeDialect, nativeInfo } from './index.ts';
import { nativeApi } from './testing.ts';

let api: TestApi;
let walk: Walk;

before(async () => {
  api = await nativeApi();
  const tokens = {
    admin: api.admin,
    member: (await makeTenant(api)).token,
    reader: (await makeTenant(api, ['reader'])).token,
  };
  walk = {
    entries: api.entries.filter(({ url }) => url.startsWith('/native')),
    path: () => ({ id: newId() }),
    tries: 40,
    async call({ method, url, payload, as }) {
      // A watch that is taken does not end by itself.
      const path = /^[^?]*\?watch=(?!.*%00)[^&]*$/.test(url) ? `${url.split('?')[0]}?watch=0` : url;
      const headers = as ? { token: tokens[as] } : {};
      const sent = payload === undefined ? {} : { body: payload, headers: { 'content-type': 'application/json' } };
      const { status, body } = await api.call({ method: method as 'GET', path, ...headers, ...sent });
      return { status, text: JSON.stringify(body) };
    },
  };
});
after(() => api[Symbol.asyncDispose]());

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 50);
});

test('every route asks for the rights that its contract says', () => walkRights(walk));

test('the document that is checked in tells what the routes do', () =>
  holdDocument('native', nativeInfo, nativeDialect({} as NativeDeps)));

test('the document is served to anybody', async () => {
  const answer = await api.call({ method: 'GET', path: '/native/v1/openapi.json' });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.openapi, '3.1.0');
  assert.ok(
    answer.body.paths['/native/v1/changes'].get.parameters.some(({ name }: { name: string }) => name === 'after'),
  );
});
