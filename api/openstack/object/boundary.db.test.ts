/** Every route of the object dialect, held to its contract. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { holdDocument } from '../../boundary/testing/documents.ts';
import { type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { objectDialect, objectInfo } from './index.ts';
import { callers, ObjectApi } from './testing.ts';

let api: ObjectApi;
let walk: Walk;

before(async () => {
  api = await ObjectApi.start();
  await api.must(201, 'alice PUT /c');
  const names = { admin: 'admin', member: 'alice', reader: 'reader' };
  let made = 0;
  walk = {
    entries: api.entries,
    // What is deleted or made is another one each time, so that the rest stays.
    path({ method, url }) {
      const container = url.endsWith('/:container') && method !== 'GET' && method !== 'HEAD' ? `made-${made++}` : 'c';
      return { account: `AUTH_${callers.alice.projectId}`, container, object: 'a/object' };
    },
    async call({ method, url, as, headers = {}, entry: { contract } }) {
      const sent = Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]);
      const answer = await api.app.inject({
        method: method as 'GET',
        url,
        headers: {
          ...(as ? { 'x-auth-token': names[as] } : {}),
          ...(method === 'COPY' ? { destination: 'c/copy' } : {}),
          ...Object.fromEntries(sent),
        },
        ...(contract.bytes && method === 'PUT' && url.includes('/c/') ? { payload: Buffer.from('x') } : {}),
      });
      return { status: answer.statusCode, text: answer.body };
    },
  };
});
after(() => api[Symbol.asyncDispose]());

test('every route asks for the rights that its contract says', () => walkRights(walk));

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 150);
});

test('the document that is checked in tells what the routes do', () =>
  holdDocument('object', objectInfo, objectDialect({} as never)));
