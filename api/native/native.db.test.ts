/** The change log and the operations, through a real socket where a stream is meant. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import { sql } from 'kysely';
import { newId, newOrderedId } from '../../contract/ids.ts';
import { untilFinal } from '../../control/kit/database/testing.ts';
import { beginOperation } from '../../control/kit/operation/operations.ts';
import { patienceMs } from '../../test/support/until.ts';
import { makeTenant, type TestApi, testApi } from '../openstack/identity/testing.ts';
import type { NativeDeps } from './deps.ts';
import { nativeDialect } from './index.ts';
import { nativeDeps } from './testing.ts';

type Tenant = Awaited<ReturnType<typeof makeTenant>>;
const odd = '小屋 🏔 "x"; drop';

let api: TestApi;
let deps: NativeDeps;
let tenant: Tenant;
let stranger: Tenant;
let server: FastifyInstance;
let base: string;

async function serve(more: Partial<NativeDeps> = {}): Promise<{ app: FastifyInstance; base: string }> {
  const app = Fastify({ genReqId: () => `req-${newId()}` });
  const { prefix, plugin } = nativeDialect({ ...deps, ...more });
  await app.register(plugin, { prefix });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { app, base: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` };
}

before(async () => {
  api = await testApi({
    dialects: (cloud) => {
      deps = nativeDeps(cloud);
      return [nativeDialect(deps)];
    },
  });
  tenant = await makeTenant(api);
  stranger = await makeTenant(api);
  ({ app: server, base } = await serve());
});
after(async () => {
  await server.close();
  await api[Symbol.asyncDispose]();
});

const get = (path: string, token?: string) =>
  api.call({ method: 'GET', path: `/native/v1${path}`, ...(token ? { token } : {}) });
const addImage = async (projectId: string, name = odd): Promise<string> => {
  const id = newId();
  await sql`insert into image (id, project_id, name) values (${id}, ${projectId}, ${name})`.execute(
    deps.database.query,
  );
  return id;
};

interface Event {
  event?: string;
  id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: read by tests
  data?: any;
  comment?: string;
}

/** A plain reader of server-sent events. */
async function watch(path: string, token: string, headers: Record<string, string> = {}, root = base) {
  const abort = new AbortController();
  const response = await fetch(`${root}/native/v1/changes${path}`, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...headers },
    signal: abort.signal,
  });
  const events = read(response);
  const next = async (kind: string): Promise<Event> => {
    for (;;) {
      const { value, done } = await Promise.race([
        events.next(),
        new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`no ${kind} event came`)), 4000).unref()),
      ]);
      if (done) throw new Error(`the stream ended before a ${kind} event`);
      if (
        value.event === kind ||
        (kind === 'comment' && value.comment) ||
        (kind === 'place' && value.id && !value.data)
      )
        return value;
    }
  };
  return { response, next, events, close: () => abort.abort() };
}

async function* read(response: Response): AsyncGenerator<Event> {
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event: Event = {};
      for (const line of text.slice(0, end).split('\n')) {
        const [, field, value] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
        if (field === '') event.comment = value!;
        else if (field === 'data') event.data = JSON.parse(value!);
        else if (field === 'id' || field === 'event') event[field] = value!;
      }
      text = text.slice(end + 2);
      yield event;
    }
  }
}

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error('it did not come to be');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('every route but the document refuses callers without a token, in our own form', async () => {
  assert.equal((await get('')).status, 200);
  for (const path of [
    '/changes',
    '/changes?watch',
    '/operations',
    `/operations/${newId()}`,
    '/quarantine',
    '/nothing',
  ]) {
    for (const token of [undefined, 'forged']) {
      const answer = await get(path, token);
      assert.equal(answer.status, 401, path);
      assert.deepEqual(Object.keys(answer.body.error), ['code', 'reason', 'message', 'details']);
      assert.equal(answer.body.error.code, 'unauthenticated');
      assert.equal(answer.body.error.reason, 'authentication_required');
    }
  }
  const bearer = await api.call({
    method: 'GET',
    path: '/native/v1/changes',
    headers: { authorization: `bearer ${tenant.token}` },
  });
  assert.equal(bearer.status, 200);
});

test("a page holds the project's changes in order, redacted, and the next starts where it ended", async () => {
  await untilFinal(deps.database.query);
  const { resume: start } = (await get('/changes?after=end', tenant.token)).body;
  const ids = [await addImage(tenant.project.id), await addImage(tenant.project.id), await addImage(tenant.project.id)];
  await addImage(stranger.project.id);
  await untilFinal(deps.database.query);
  const first = (await get(`/changes?after=${start}&limit=2`, tenant.token)).body;
  assert.equal(first.more, true);
  const second = (await get(`/changes?after=${first.resume}`, tenant.token)).body;
  assert.deepEqual(
    [...first.changes, ...second.changes].map((change: { id: string }) => change.id),
    ids,
  );
  assert.equal(second.more, false);
  const [change] = first.changes;
  assert.deepEqual([change.type, change.action, change.project_id], ['image', 'created', tenant.project.id]);
  assert.equal(change.resource.name, odd);
  assert.ok(!('upload_id' in change.resource));
  assert.deepEqual((await get(`/changes?after=${second.resume}`, tenant.token)).body.changes, []);
});

test("another project's changes are not to be had, whatever is asked", async () => {
  await addImage(stranger.project.id, 'secret of the stranger');
  for (const query of ['', '?types=image', '?limit=1000']) {
    const answer = await get(`/changes${query}`, tenant.token);
    assert.equal(answer.status, 200);
    for (const change of answer.body.changes) assert.equal(change.project_id, tenant.project.id);
  }
  assert.equal((await get('/changes?all_projects', tenant.token)).status, 403);
  assert.equal((await get('/changes?types=role_assignment', tenant.token)).status, 400);
  const all = await eventually(async () => {
    const answer = await get('/changes?all_projects&types=image,role_assignment&limit=1000', api.admin);
    const names = answer.body.changes.map((change: { resource: { name?: string } }) => change.resource.name);
    return names.includes('secret of the stranger') ? answer : undefined;
  });
  assert.ok(all.body.changes.some((change: { type: string }) => change.type === 'role_assignment'));
});

test('what hosts keep in quarantine is told to administrators alone', async () => {
  const { query } = deps.database;
  const [hostId, serverId] = [newId(), newId()];
  await sql`insert into host (id, name) values (${hostId}, ${`host ${odd}`})`.execute(query);
  await sql`insert into quarantined_server (host_id, server_id, reason, since, guest, document)
    values (${hostId}, ${serverId}, 'missing', '2030-01-01T00:00:00Z', true, ${JSON.stringify({ name: odd })}::jsonb)`.execute(
    query,
  );
  assert.equal((await get('/quarantine', tenant.token)).status, 403);
  const { status, body } = await get('/quarantine', api.admin);
  assert.equal(status, 200);
  assert.match(body.incarnation.id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(body.images, []);
  assert.deepEqual(body.servers, [
    {
      ...{
        id: serverId,
        host_id: hostId,
        host_name: `host ${odd}`,
        reason: 'missing',
        since: '2030-01-01T00:00:00.000Z',
      },
      ...{ guest_runs: true, name: odd, project_id: null },
    },
  ]);
});

test('odd questions are refused with a reason', async () => {
  for (const query of [
    'after=x',
    'after=1.x',
    'after=1.2.3.4',
    'limit=0',
    'limit=x',
    'limit=1001',
    'types=A',
    'types=',
    'nothing=1',
    'after=1.1&after=2.2',
  ]) {
    const answer = await get(`/changes?${query}`, tenant.token);
    assert.deepEqual([query, answer.status, answer.body.error?.code], [query, 400, 'invalid']);
  }
  const { resume } = (await get('/changes?after=end', tenant.token)).body;
  const [incarnation, transaction] = resume.split('.');
  for (const after of [
    `${incarnation}.18446744073709551615.0`,
    `${incarnation}.99999999999999999999.1`,
    `0123456789ab.${transaction}.0`,
    '1.1',
  ]) {
    for (const watching of ['', '&watch']) {
      const answer = await get(`/changes?after=${after}${watching}`, tenant.token);
      assert.deepEqual([after, answer.status, answer.body.error?.code], [after, 410, 'expired']);
      assert.equal((await get(`/changes?after=${answer.body.error.details.resume}`, tenant.token)).status, 200);
    }
  }
  const unscoped = await api.login(
    { methods: ['password'], password: { user: { id: tenant.user.id, password: tenant.password } } },
    'unscoped',
  );
  assert.equal((await get('/changes', unscoped)).status, 403);
});

test('a watcher is told of each change once, from now on, and of nothing of others', async () => {
  const stream = await watch('', tenant.token);
  assert.equal(stream.response.headers.get('content-type'), 'text/event-stream');
  assert.match(stream.response.headers.get('x-openstack-request-id') ?? '', /^req-/);
  assert.match(
    (await stream.next('place')).id ?? '',
    /^[0-9a-f]+\.\d+\.\d+$/,
    'there is a place to resume from before anything happens',
  );
  await addImage(stranger.project.id);
  const ids = [await addImage(tenant.project.id), await addImage(tenant.project.id)];
  for (const id of ids) {
    const event = await stream.next('change');
    assert.equal(event.data.id, id);
    assert.equal(event.id, event.data.resume);
    assert.equal(event.data.resource.name, odd);
  }
  stream.close();
});

test('a watcher that comes back gets what it missed, by Last-Event-ID or by after', async () => {
  const stream = await watch('?watch&types=image', tenant.token);
  await addImage(tenant.project.id);
  const { id: place } = await stream.next('change');
  stream.close();
  const missed = [await addImage(tenant.project.id), await addImage(tenant.project.id)];
  for (const [query, headers] of [
    ['?types=image', { 'last-event-id': place! }],
    [`?types=image&after=${place}`, {}],
    ['?types=image&after=0.0', { 'last-event-id': place! }],
  ] as const) {
    const again = await watch(query, tenant.token, headers);
    for (const id of missed) assert.equal((await again.next('change')).data.id, id);
    again.close();
  }
  assert.equal((await watch('?after=x', tenant.token)).response.status, 400);
});

test('a watcher is kept alive, with the place that was reached', async () => {
  const { app, base: own } = await serve({ watch: { keepaliveMs: 20 } });
  const stream = await watch('', tenant.token, {}, own);
  const event = await stream.next('comment');
  assert.equal(event.comment, 'keepalive');
  assert.match(event.id ?? '', /^[0-9a-f]+\.\d+\.\d+$/);
  stream.close();
  await app.close();
});

test('a stream ends when the token is revoked, with the reason and a place to resume from', async () => {
  const own = await tenant.login();
  const stream = await watch('', own);
  await stream.next('place');
  await api.call({
    method: 'DELETE',
    path: '/identity/v3/auth/tokens',
    token: own,
    headers: { 'x-subject-token': own },
  });
  const end = await stream.next('end');
  assert.deepEqual(end.data, { reason: 'unauthenticated' });
  assert.ok(end.id);
  assert.equal((await stream.events.next()).done, true);
});

test('a stream ends when the token expires', async () => {
  const { identity } = await api.cloud.another({ tokenLifetimeMs: 1000 });
  const { Secret } = await import('../../contract/secret.ts');
  const { token } = await identity.login(
    {
      proofs: [{ method: 'password', user: { id: tenant.user.id }, password: new Secret(tenant.password) }],
      scope: { type: 'project', id: tenant.project.id },
    },
    'r',
  );
  const stream = await watch('', token);
  assert.deepEqual((await stream.next('end')).data, { reason: 'unauthenticated' });
});

test("a stream lasts as long as its token by the database's time, however far this process's clock is from that", async (t) => {
  const now = Date.now.bind(Date);
  t.mock.method(Date, 'now', () => now() + 8 * 24 * 3_600_000);
  const stream = await watch('', tenant.token);
  await stream.next('place');
  const id = await addImage(tenant.project.id);
  assert.equal((await stream.next('change')).data.id, id);
  stream.close();
});

test('an administrator who watches all projects and is one no more hears so', async () => {
  const third = await makeTenant(api, ['admin', 'reader']);
  const stream = await watch('?all_projects', third.token);
  await stream.next('place');
  const role = (await api.call({ method: 'GET', path: '/identity/v3/roles?name=admin', token: api.admin })).body
    .roles[0];
  await api.call({
    method: 'DELETE',
    path: `/identity/v3/projects/${third.project.id}/users/${third.user.id}/roles/${role.id}`,
    token: api.admin,
  });
  assert.deepEqual((await stream.next('end')).data, { reason: 'forbidden' });
});

test('streams end when the server stops, and do not keep it from stopping', async () => {
  const { app, base: own } = await serve();
  const stream = await watch('', tenant.token, {}, own);
  await stream.next('place');
  await app.close();
  assert.deepEqual((await stream.next('end')).data, { reason: 'stopping' });
});

test('a reader that stops reading is cut off; until then little waits for it', async () => {
  const { app, base: own } = await serve({ watch: { stalledMs: 300 } });
  const big = 'x'.repeat(200_000);
  const { resume } = (await get('/changes?after=end', tenant.token)).body;
  for (let i = 0; i < 80; i++) {
    await sql`insert into image (id, project_id, name, owner_properties)
      values (${newId()}, ${tenant.project.id}, 'big', ${JSON.stringify({ big })}::jsonb)`.execute(deps.database.query);
  }
  const before = process.memoryUsage().arrayBuffers;
  const request = httpRequest(`${own}/native/v1/changes?watch&after=${resume}`, {
    headers: { 'x-auth-token': tenant.token },
  });
  request.end();
  const [response] = await once(request, 'response');
  response.pause();
  const closed = new Promise((resolve) => response.on('close', resolve));
  response.on('error', () => {});
  const connections = () => new Promise<number>((resolve) => app.server.getConnections((_, count) => resolve(count)));
  assert.equal(await connections(), 1);
  await eventually(async () => ((await connections()) === 0 ? true : undefined));
  assert.ok(process.memoryUsage().arrayBuffers - before < 30_000_000, 'sixteen megabytes were never held twice');
  response.resume();
  await closed;
  await app.close();
});

test('a user can not hold endless streams', async () => {
  const { app, base: own } = await serve();
  const streams = await Promise.all(Array.from({ length: 64 }, () => watch('', tenant.token, {}, own)));
  const one = await watch('', tenant.token, {}, own);
  assert.equal(one.response.status, 409);
  const other = await watch('', stranger.token, {}, own);
  assert.equal(other.response.status, 200);
  for (const stream of [...streams, other]) stream.close();
  await app.close();
});

test('of a decision members read why and what would help, and administrators what was found of each host', async () => {
  const resource = newId();
  const [inputs, id] = [{ verdicts: [{ name: 'rack-7-小屋', refusals: ['disabled'] }] }, newOrderedId()];
  const explanation = { message: 'every pool is closed', fix: 'ask for one', refusals: { disabled: 1 } };
  await sql`insert into decision (id, project_id, resource_type, resource_id, kind, outcome, inputs, explanation)
    values (${id}, ${tenant.project.id}, 'volume', ${resource}, 'placement', 'no_capacity', ${JSON.stringify(inputs)}::jsonb,
      ${JSON.stringify(explanation)}::jsonb)`.execute(deps.database.query);
  const { created_at, ...own } = (await get(`/decisions/${id}`, tenant.token)).body.decision;
  assert.ok(Date.parse(created_at) > 0);
  assert.deepEqual(own, {
    ...{ id, project_id: tenant.project.id, type: 'volume', resource_id: resource, kind: 'placement' },
    ...{ outcome: 'no_capacity', message: 'every pool is closed', fix: 'ask for one' },
  });
  const listed = (await get(`/decisions?resource_id=${resource}`, tenant.token)).body;
  assert.deepEqual(listed, { decisions: [{ ...own, created_at }], before: null });
  const whole = (await get(`/decisions?all_projects&resource_id=${resource}`, api.admin)).body.decisions[0];
  assert.deepEqual([whole.inputs, whole.refusals], [inputs, { disabled: 1 }]);
  assert.equal((await get(`/decisions/${id}`, stranger.token)).status, 404);
  assert.deepEqual((await get(`/decisions?resource_id=${resource}`, stranger.token)).body.decisions, []);
  assert.equal((await get('/decisions?all_projects', stranger.token)).status, 403);
  assert.equal((await get('/decisions?limit=odd', tenant.token)).status, 400);
});

test("operations are shown to their project's members, without the host, and to administrators whole", async () => {
  const resource = newId();
  const id = await deps.database.transaction({ actorId: tenant.user.id, requestId: 'req-1' }, (tx) =>
    beginOperation(
      tx,
      { actorId: tenant.user.id, requestId: 'req-1' },
      {
        projectId: tenant.project.id,
        resourceType: 'server',
        resourceId: resource,
        verb: 'create',
        generation: 1,
        owner: `host ${newId()}`,
        waitingFor: 'the host to take the server',
        deadlineMs: 1000,
      },
    ),
  );
  const own = (await get(`/operations/${id}`, tenant.token)).body.operation;
  assert.deepEqual(
    [own.state, own.verb, own.waiting_for, own.error],
    ['running', 'create', 'the host to take the server', null],
  );
  assert.ok(!('owner' in own));
  const listed = (await get(`/operations?resource_id=${resource.replaceAll('-', '')}`, tenant.token)).body;
  assert.deepEqual(listed, { operations: [own], before: null });
  assert.match((await get(`/operations/${id}`, api.admin)).body.operation.owner, /^host /);
  for (const path of [`/operations/${id}`, '/operations/no-id', `/operations/${newId()}`]) {
    assert.equal((await get(path, stranger.token)).status, 404);
  }
  assert.deepEqual((await get(`/operations?resource_id=${resource}`, stranger.token)).body.operations, []);
  assert.equal((await get('/operations?all_projects', stranger.token)).status, 403);
  assert.equal((await get('/operations?state=odd', tenant.token)).status, 400);
  assert.equal((await get('/operations?state=running&limit=1', tenant.token)).body.operations.length, 1);
});

test('a change is in the log with who did it', async () => {
  await untilFinal(deps.database.query);
  const { resume } = (await get('/changes?after=end&all_projects', api.admin)).body;
  await api.call({
    method: 'PATCH',
    path: `/identity/v3/projects/${tenant.project.id}`,
    token: api.admin,
    body: { project: { description: odd } },
  });
  const change = await eventually(
    async () => (await get(`/changes?after=${resume}&types=project`, tenant.token)).body.changes[0],
  );
  assert.equal(change.resource.description, odd);
  assert.match(change.request_id, /^req-/);
  assert.ok(change.actor_id);
});
