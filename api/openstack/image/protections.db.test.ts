import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseProtections } from '../../../control/image/index.ts';
import { ImageApi } from './testing.ts';

let api: ImageApi;
before(async () => {
  const rules = ['[x_bill]', 'create = admin', 'read = admin', 'update = admin', 'delete = admin', '[.*]'];
  const rest = ['create', 'read', 'update', 'delete'].map((verb) => `${verb} = @`);
  api = await ImageApi.start({ protections: parseProtections([...rules, ...rest].join('\n')) });
});
after(() => api[Symbol.asyncDispose]());

const op = (verb: string, path: string, value?: string) => ({ op: verb, path, ...(value !== undefined && { value }) });

test('protected properties are made, read, changed, removed and searched for by those who may', async () => {
  assert.equal((await api.call('alice POST /images', { x_bill: '1' })).status, 403);
  const id = await api.create('alice', { color: 'red' });
  for (const [who, status] of [
    ['alice', 403],
    ['admin', 200],
  ] as const) {
    const answer = await api.call(`${who} PATCH /images/${id}`, [op('add', '/x_bill', 'secret')]);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
  }
  const shown = async (who: string) => (await api.call(`${who} GET /images/${id}`)).body;
  assert.deepEqual([(await shown('admin')).x_bill, (await shown('alice')).x_bill], ['secret', undefined]);
  const changed = await api.call(`alice PATCH /images/${id}`, [op('replace', '/color', 'blue')]);
  assert.deepEqual([changed.status, changed.body.color, changed.body.x_bill], [200, 'blue', undefined]);
  assert.equal((await shown('admin')).x_bill, 'secret', 'and it is still there');
  for (const step of [op('replace', '/x_bill', 'x'), op('remove', '/x_bill')]) {
    const { status, body } = await api.call(`alice PATCH /images/${id}`, [step]);
    assert.deepEqual([status, body.message], [403, "Property 'x_bill' is protected"]);
  }
  const found = async (who: string) => (await api.call(`${who} GET /images?x_bill=secret`)).body.images.length;
  assert.deepEqual([await found('alice'), await found('admin')], [0, 1]);
  const [listed] = (await api.call('alice GET /images?color=blue')).body.images;
  assert.equal(listed.x_bill, undefined);
});
