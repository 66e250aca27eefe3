/** Every route of the image dialect, held to its contract. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { holdDocument } from '../../boundary/testing/documents.ts';
import { type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { patchTypes } from './body.ts';
import { imageDialect, imageInfo } from './index.ts';
import { callers, ImageApi } from './testing.ts';

let api: ImageApi;
let walk: Walk;

before(async () => {
  api = await ImageApi.start();
  const id = await api.create('alice', { tags: ['tag'] }, Buffer.from('bytes'));
  const [alice, bob] = [callers.alice.projectId!, callers.bob.projectId!];
  await api.call(`alice POST /images/${id}/members`, { member: bob });
  const offered = await api.create('bob');
  await api.call(`bob POST /images/${offered}/members`, { member: alice });
  const names = { admin: 'admin', member: 'alice', reader: 'reader' };
  let drafts = 0;
  walk = {
    entries: api.entries,
    // What is deleted as a whole is another one each time, so that the rest stays.
    path({ method, url }) {
      if (method === 'PUT' && url.endsWith('/:member')) return { id: offered, member: alice, tag: 'tag' };
      return { id: method === 'DELETE' && url.endsWith('/:id') ? newId() : id, member: bob, tag: 'tag' };
    },
    body: ({ method, url }) => {
      if (method === 'PATCH') return [{ op: 'replace', path: '/name', value: 'x', replace: '/name' }];
      return url.endsWith('/members') ? { member: newId() } : undefined;
    },
    async call({ method, url, payload, as, entry: { contract } }) {
      const patch = Object.keys(patchTypes)[drafts++ % 2]!;
      const answer = await api.app.inject({
        method: method as 'GET',
        url,
        headers: {
          ...(as ? { 'x-auth-token': names[as] } : {}),
          ...(payload ? { 'content-type': method === 'PATCH' ? patch : 'application/json' } : {}),
          ...(contract.bytes ? { 'content-type': contract.bytes } : {}),
        },
        ...(payload ? { payload } : contract.bytes ? { payload: Buffer.from('x') } : {}),
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
  holdDocument('image', imageInfo, imageDialect({} as never)));

test('an upload that is refused before anybody looks at its bytes hears so, though it sends them all first', async () => {
  for (const [id, status] of [
    ['a%00', 400],
    ['no-image', 404],
  ] as const) {
    const bytes = Buffer.alloc(16 * 1024 * 1024);
    const request = https.request({
      ...{ host: '127.0.0.1', port: api.port, ca: api.tls.ca, agent: false, method: 'PUT' },
      path: `/image/v2/images/${id}/file`,
      headers: { 'x-auth-token': 'alice', 'content-type': 'application/octet-stream', 'content-length': bytes.length },
    });
    const answered = once(request, 'response');
    await new Promise<void>((resolve, reject) => {
      request.on('error', reject);
      request.end(bytes, resolve);
    });
    const [response] = await answered;
    assert.equal(response.statusCode, status);
    response.resume();
  }
});
