import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { CloudError } from '../../contract/errors.ts';
import { Boundary } from './boundary.ts';
import { Versions } from './contract.ts';
import { excerpt } from './excerpt.ts';
import { readJson } from './json.ts';
import { openApiDocument } from './openapi.ts';
import { Refusal } from './refusal.ts';
import { plainSentence } from './sentences.ts';
import { maxDepth, unstorable } from './storable.ts';
import { holdAnswers } from './testing/hold-answers.ts';
import { mutations, sample } from './testing/sample.ts';

const strict = { additionalProperties: false };
const body = Type.Object({ name: Type.String({ maxLength: 3 }), size: Type.Optional(Type.Integer()) }, strict);
const answer = Type.Object({ name: Type.String() }, strict);

async function api(register: (boundary: Boundary) => void): Promise<FastifyInstance> {
  const app = Fastify({ exposeHeadRoutes: false });
  holdAnswers(app);
  await app.register(async (scope) => {
    readJson(scope);
    scope.setErrorHandler((error, _request, reply) =>
      reply.code(error instanceof CloudError ? 400 : 500).send({ message: (error as Error).message }),
    );
    register(
      new Boundary(scope, {
        sentences: { refuse: (part, fault) => new Refusal('invalid', plainSentence(part, fault)) },
        versionOf: (request) => Number(request.headers['x-version'] ?? 1),
      }),
    );
  });
  return app;
}

const things = (boundary: Boundary) => {
  const contract = { summary: 'Make a thing', rights: 'open', body, answers: { 200: answer } } as const;
  boundary.post('/things/:id', contract, (request) => ({ name: request.body.name + request.params.id }));
};

test('a handler sees only what fits the contract of its route, and a refusal says where and why', async () => {
  const app = await api(things);
  const post = async (payload: unknown, url = '/things/1') => {
    const { statusCode, body: text } = await app.inject({ method: 'POST', url, payload: payload as object });
    return `${statusCode} ${text}`;
  };
  assert.equal(await post({ name: 'x' }), '200 {"name":"x1"}');
  for (const [payload, message] of [
    [{}, 'the body needs name'],
    [{ name: 'x', other: 1 }, 'the body has no other'],
    [{ name: 7 }, 'name must be string'],
    [{ name: '1234' }, 'name must not have more than 3 characters'],
    [undefined, 'the request needs a body'],
    [{ name: 'a\0' }, "the body can't be taken: a text has the character NUL"],
  ] as const) {
    assert.equal(await post(payload), `400 ${JSON.stringify({ message })}`);
  }
  assert.match(await post({ name: 'x' }, '/things/%00'), /400 .*the path can't be taken/);
  assert.match(await post({ name: 'x' }, '/things/1?a=%00'), /400 .*the query can't be taken/);
  await app.close();
});

test('a versioned body is held to the schema of the version that is asked for', async () => {
  const old = Type.Object({ name: Type.String() }, strict);
  const versions = new Versions<typeof body>({ 1: () => old as never, 5: () => body });
  const app = await api((boundary) =>
    boundary.put('/x', { summary: '', rights: 'open', body: versions, answers: { 200: answer } }, (request) => ({
      name: request.body.name,
    })),
  );
  const put = async (version: number) =>
    (await app.inject({ method: 'PUT', url: '/x', headers: { 'x-version': version }, payload: { name: 'n', size: 1 } }))
      .statusCode;
  assert.deepEqual([await put(1), await put(4), await put(5), await put(99)], [400, 400, 200, 200]);
  assert.deepEqual(
    versions.ranges().map(({ from, to }) => [from, to]),
    [
      [1, 4],
      [5, undefined],
    ],
  );
  await app.close();
});

test('of a route with actions each has its own schema, versions and answers', async (t) => {
  t.mock.method(console, 'error', () => {});
  const anything = { summary: '', rights: 'open' } as const;
  const actions = {
    rename: { ...anything, body, answers: { 200: answer } },
    lie: { ...anything, answers: { 204: null } },
    later: { ...anything, versions: { from: 5 }, answers: { 200: answer } },
  } as const;
  const app = await api((boundary) =>
    boundary.actions('/x', anything, actions, (_request, _reply, { name }) => ({ name })),
  );
  const post = async (payload: unknown, version = 1) => {
    const headers = { 'x-version': version };
    const given = { method: 'POST', url: '/x', headers, payload: payload as object } as const;
    const { statusCode, body: text } = await app.inject(given);
    return `${statusCode} ${text}`;
  };
  assert.equal(await post({ rename: { name: 'x' } }), '200 {"name":"rename"}');
  assert.match(await post({ rename: { name: 7 } }), /^400 .*name must be string/);
  assert.match(await post({ later: null }), /^400 .*could not be found/);
  assert.equal(await post({ later: null }, 5), '200 {"name":"later"}');
  assert.match(await post({ lie: null }), /^500/);
  for (const odd of [undefined, {}, [], { rename: { name: 'x' }, later: 1 }, { toString: 1 }, { constructor: {} }]) {
    assert.match(await post(odd), /^400 .*names no action/, JSON.stringify(odd));
  }
  await app.close();
});

test('in tests an answer that breaks its contract fails', async (t) => {
  t.mock.method(console, 'error', () => {});
  const contract = { summary: '', rights: 'open', answers: { 200: answer, 204: null } } as const;
  const app = await api((boundary) => {
    boundary.get('/extra', contract, () => ({ name: 'n', secret: 1 }));
    boundary.get('/status', contract, (_request, reply) => reply.code(202).send({ name: 'n' }));
    boundary.get('/empty', contract, (_request, reply) => reply.code(204).send());
  });
  const get = async (url: string) => (await app.inject(url)).statusCode;
  assert.deepEqual([await get('/extra'), await get('/status'), await get('/empty')], [500, 500, 204]);
  await app.close();
});

test('text that PostgreSQL can not store is found wherever it is, and depth has an end', () => {
  assert.equal(unstorable({ a: ['x', { b: '🏔' }], c: null, d: 1 }), undefined);
  for (const value of ['\0', ['\ud83c'], { a: { 'b\0': 1 } }, { a: [['\udfd4']] }]) assert.ok(unstorable(value));
  const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
  assert.equal(unstorable(nested(maxDepth)), undefined);
  assert.ok(unstorable(nested(maxDepth + 1)));
  assert.ok(unstorable(nested(100_000)));
  assert.equal(unstorable(Buffer.from('\0')), undefined, 'bytes are no text');
});

test('a document names parts by their titles, and keeps what only our validator reads to itself', () => {
  const part = Type.Object({ title: Type.Refine(Type.String(), () => true) }, { title: 'A part' });
  const schema = Type.Object({ part, again: part });
  const document = openApiDocument({ title: 't', version: '1', description: '', fault: Type.Object({}) }, [
    {
      method: 'POST',
      url: '/x/:id',
      contract: { summary: 's', rights: 'member', body: schema, answers: { 204: null } },
    },
  ]) as { paths: Record<string, { post: Record<string, unknown> }>; components: { schemas: object } };
  assert.deepEqual(document.components.schemas, {
    Apart: { title: 'A part', type: 'object', required: ['title'], properties: { title: { type: 'string' } } },
  });
  const { post } = document.paths['/x/{id}']!;
  const ref = { $ref: '#/components/schemas/Apart' };
  assert.deepEqual((post.requestBody as { content: object }).content, {
    'application/json': {
      schema: { type: 'object', required: ['part', 'again'], properties: { part: ref, again: ref } },
    },
  });
  assert.deepEqual(post.parameters, [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }]);
});

test('a document says microversions with the major number of its service', () => {
  const changed = new Versions({ 0: () => body, 5: () => Type.Object({}) as never });
  const action = { summary: '', rights: 'member', versions: { from: 2, to: 7 }, answers: { 202: null } } as const;
  const contract = { summary: '', rights: 'member', versions: { from: 0 }, body: changed, answers: {} } as const;
  const document = openApiDocument({ title: 't', version: '3.70', description: '', fault: Type.Object({}) }, [
    { method: 'POST', url: '/x', contract },
    { method: 'POST', url: '/y', contract: { summary: '', rights: 'member', actions: { do: action }, answers: {} } },
  ]);
  const said = JSON.stringify(document).match(/"m(?:in|ax)-ver":"[^"]*"/g);
  assert.deepEqual(said?.toSorted(), [
    ...['"max-ver":"3.4"', '"max-ver":"3.7"'],
    ...['"min-ver":"3.0"', '"min-ver":"3.0"', '"min-ver":"3.2"', '"min-ver":"3.5"'],
  ]);
});

test('samples fit, and mutations reach every place', () => {
  assert.deepEqual(sample(body), { name: '7' });
  assert.deepEqual(sample(body, { full: true }), { name: '7', size: 1 });
  const seen = [...mutations({ a: [{ b: 1 }] }, ['!'])].map((value) => JSON.stringify(value));
  for (const one of ['"!"', '{"a":"!"}', '{"a":["!"]}', '{"a":[{"b":"!"}]}', '{}', '{"a":[{}]}'])
    assert.ok(seen.includes(one), one);
});

test('of a huge value a beginning is looked at, of a usual one all', () => {
  const usual = { a: ['x', { b: '🏔' }], c: null, d: 1, ['__proto__']: 7 };
  assert.deepEqual(excerpt(usual), usual);
  assert.equal(excerpt('x'.repeat(1e6)), 'x'.repeat(2 ** 17));
  const size = (value: unknown): number =>
    typeof value === 'object' && value !== null ? Object.values(value).reduce((sum, one) => sum + size(one), 1) : 1;
  const row = new Array(1000).fill({});
  for (const huge of [new Array(500_000).fill(0), new Array(1000).fill(row), { ...new Array(100_000).fill({ row }) }]) {
    assert.ok(size(excerpt(huge)) < 12_000, String(size(excerpt(huge))));
  }
});
