/** Log-in with access tokens of a real OpenID Connect provider (npm's oidc-provider), and what administrators set up for it. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import { sql } from 'kysely';
import { testUrl } from '../../../control/identity/testing.ts';
import { asAdministrator, type TestApi, testApi, unique } from './testing.ts';

/** What of oidc-provider's types is used here; it brings none. */
interface OidcModule {
  default: new (issuer: string, options: object) => OidcProvider;
}
interface OidcProvider {
  callback(): (request: unknown, response: unknown) => void;
  Client: { find(id: string): Promise<unknown> };
  Grant: new (of: object) => { addOIDCScope(scope: string): void; save(): Promise<string> };
  AccessToken: new (of: object) => { save(): Promise<string>; resourceServer?: unknown; destroy(): Promise<void> };
  ResourceServer: new (id: string, of: object) => unknown;
}

const scope = 'openid email profile groups';
const people: Record<string, object> = {
  'alice-1': { preferred_username: 'alice', email: 'alice@idp.test', groups: ['ops', 'dev'] },
  'bob-2': { preferred_username: 'bob 小屋', email: 'bob@idp.test', groups: ['nobody'] },
};

let server: Server;
let oidc: OidcProvider;
let issuer: string;
let api: TestApi;
let { call, make } = {} as ReturnType<typeof asAdministrator>;

before(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { default: Provider } = (await import('oidc-provider' as string)) as OidcModule;
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const client = {
    grant_types: ['authorization_code'],
    redirect_uris: ['https://cloud.test/back'],
    response_types: ['code'],
  };
  oidc = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' }] },
    clients: [
      { ...client, client_id: 'bothy', client_secret: 'secret of bothy' },
      { ...client, client_id: 'another', client_secret: 'secret of another' },
    ],
    claims: { openid: ['sub'], email: ['email'], profile: ['preferred_username'], groups: ['groups'] },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    extraTokenClaims: (_: unknown, { accountId }: { accountId: string }) => people[accountId],
    features: { introspection: { enabled: true }, userinfo: { enabled: true }, devInteractions: { enabled: false } },
    cookies: { keys: ['of the test'] },
  });
  server.on('request', oidc.callback());
  api = await testApi();
  ({ call, make } = asAdministrator(api));
});
after(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await api[Symbol.asyncDispose]();
});

/** As the provider gives it to a client after somebody has logged in there; with an audience: a signed statement. */
async function accessToken(accountId: string, { to = 'bothy', audience }: { to?: string; audience?: string } = {}) {
  const grant = new oidc.Grant({ accountId, clientId: to });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const client = await oidc.Client.find(to);
  const token = new oidc.AccessToken({
    accountId,
    client,
    grantId,
    scope,
    gty: 'authorization_code',
    expiresWithSession: false,
  });
  if (audience) {
    token.resourceServer = new oidc.ResourceServer(audience, {
      ...{ audience, accessTokenFormat: 'jwt', scope, jwt: { sign: { alg: 'RS256' } } },
    });
  }
  return token.save();
}

const rules = (...more: object[]) => [
  {
    local: [{ user: { name: '{0}', id: '{1}', email: '{2}' } }, ...more],
    remote: [{ type: 'OIDC-preferred_username' }, { type: 'sub' }, { type: 'HTTP_OIDC_EMAIL' }],
  },
];

async function setUp(over: object = {}, mapped: object[] = rules()) {
  const name = unique();
  const identity_provider = {
    remote_ids: [issuer],
    oidc: { client_id: 'bothy', client_secret: 'secret of bothy' },
    ...over,
  };
  const put = async (path: string, body: object) => {
    const answer = await call('PUT', `OS-FEDERATION/${path}`, body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  const { identity_provider: provider } = await put(`identity_providers/${name}`, { identity_provider });
  await put(`mappings/${name}`, { mapping: { rules: mapped } });
  await put(`identity_providers/${name}/protocols/openid`, { protocol: { mapping_id: name } });
  return { name, provider };
}

const login = (name: string, token: string, method: 'GET' | 'POST' = 'POST') =>
  api.call({
    method,
    path: `/identity/v3/OS-FEDERATION/identity_providers/${name}/protocols/openid/auth`,
    headers: { authorization: `Bearer ${token}` },
  });

test('an opaque token that the provider vouches for makes its bearer a user, the same one each time', async () => {
  const { name, provider } = await setUp();
  const first = await login(name, await accessToken('bob-2'));
  assert.equal(first.status, 201, JSON.stringify(first.body));
  const { user, methods, project } = first.body.token;
  assert.deepEqual(
    [user.name, user.domain.id, methods, project],
    ['bob 小屋', provider.domain_id, ['openid'], undefined],
  );
  const token = String(first.headers['x-subject-token']);
  const mine = await api.call({ method: 'GET', path: `/identity/v3/users/${user.id}`, token });
  assert.equal(mine.body.user.email, 'bob@idp.test');
  const again = await Promise.all(
    [await accessToken('bob-2'), await accessToken('bob-2')].map((one) => login(name, one, 'GET')),
  );
  assert.deepEqual(
    again.map(({ body }) => body.token.user.id),
    [user.id, user.id],
  );
  const { rows } = await sql`select from "user" where domain_id = ${provider.domain_id}`.execute(
    api.cloud.db.database.query,
  );
  assert.equal(rows.length, 1);
});

test('a signed statement is verified by the keys that the provider publishes, and must be for this cloud', async () => {
  const own = await setUp({ oidc: null });
  const good = await login(own.name, await accessToken('alice-1', { audience: `${testUrl}/identity` }));
  assert.equal(good.status, 201, JSON.stringify(good.body));
  assert.equal(good.body.token.user.name, 'alice');
  const elsewhere = await accessToken('alice-1', { audience: 'https://elsewhere.test' });
  assert.equal((await login(own.name, elsewhere)).status, 401, 'a token for somebody else');
  assert.equal((await login(own.name, await accessToken('alice-1'))).status, 401, 'nobody here may ask about it');
  const [head, body, signature] = (await accessToken('alice-1', { audience: `${testUrl}/identity` })).split('.');
  const forged = { ...JSON.parse(Buffer.from(body!, 'base64url').toString()), sub: 'bob-2' };
  const altered = [head, Buffer.from(JSON.stringify(forged)).toString('base64url'), signature].join('.');
  assert.equal((await login(own.name, altered)).status, 401);
  const unsigned = [Buffer.from('{"alg":"none"}').toString('base64url'), body, ''].join('.');
  assert.equal((await login(own.name, unsigned)).status, 401);
});

test('a token that was given to another client, that is none, or that has ended lets nobody in', async () => {
  const { name } = await setUp();
  assert.equal((await login(name, await accessToken('alice-1', { to: 'another' }))).status, 401);
  assert.equal((await login(name, 'nothing')).status, 401);
  assert.equal((await login('nowhere', 'nothing')).status, 404);
  const path = `/identity/v3/OS-FEDERATION/identity_providers/${name}/protocols/openid/auth`;
  assert.equal((await api.call({ method: 'POST', path })).status, 401);
  await call('PATCH', `OS-FEDERATION/identity_providers/${name}`, { identity_provider: { enabled: false } });
  assert.equal((await login(name, await accessToken('alice-1'))).status, 403);
  const gone = await setUp({ remote_ids: ['http://127.0.0.1:9'] });
  assert.equal((await login(gone.name, await accessToken('alice-1'))).status, 503);
});

test('groups of the mapping give roles until they end or the next log-in says otherwise; given ones stay', async () => {
  const [group, other] = [await make('group', { name: unique() }), await make('group', { name: unique() })];
  const project = await make('project', { name: unique() });
  const { roles } = (await call('GET', 'roles?name=member')).body;
  await call('PUT', `projects/${project.id}/groups/${group.id}/roles/${roles[0].id}`);
  const inGroup = { local: [{ group: { id: group.id } }], remote: [{ type: 'groups', any_one_of: ['ops'] }] };
  const { name } = await setUp({}, [...rules(), inGroup]);
  const first = await login(name, await accessToken('alice-1'));
  const { id } = first.body.token.user;
  await call('PUT', `groups/${other.id}/users/${id}`);
  const rescope = (token: unknown) =>
    api.call({
      method: 'POST',
      path: '/identity/v3/auth/tokens',
      body: {
        auth: { identity: { methods: ['token'], token: { id: token } }, scope: { project: { id: project.id } } },
      },
    });
  const scoped = await rescope(first.headers['x-subject-token']);
  assert.equal(scoped.status, 201, JSON.stringify(scoped.body));
  assert.ok(scoped.body.token.roles.some((role: { name: string }) => role.name === 'member'));
  const token = String(first.headers['x-subject-token']);
  const reachable = await api.call({ method: 'GET', path: '/identity/v3/OS-FEDERATION/projects', token });
  assert.deepEqual(
    reachable.body.projects.map((one: { id: string }) => one.id),
    [project.id],
  );
  await sql`update user_group_member set expires_at = now() - interval '1 second' where user_id = ${id} and expires_at is not null`.execute(
    api.cloud.db.database.query,
  );
  assert.equal((await rescope(first.headers['x-subject-token'])).status, 401, 'it has ended');
  assert.equal((await call('GET', `groups/${group.id}/users/${id}`)).status, 404);
  assert.deepEqual((await call('GET', `groups/${group.id}/users`)).body.users, []);
  const { groups } = (await call('GET', `users/${id}/groups`)).body;
  assert.deepEqual(
    groups.map((one: { id: string }) => one.id),
    [other.id],
  );
  await login(name, await accessToken('alice-1'));
  assert.equal((await rescope(first.headers['x-subject-token'])).status, 201, 'and is given again');
  people['alice-1'] = { ...people['alice-1'], groups: [] };
  await login(name, await accessToken('alice-1'));
  assert.equal((await rescope(first.headers['x-subject-token'])).status, 401, 'not in the group any more');
  assert.equal((await call('GET', `groups/${other.id}/users/${id}`)).status, 204, 'what administrators gave stays');
  people['alice-1'] = { ...people['alice-1'], groups: ['ops'] };
  await login(name, await accessToken('alice-1'));
  await call('PUT', `groups/${group.id}/users/${id}`);
  people['alice-1'] = { ...people['alice-1'], groups: [] };
  await login(name, await accessToken('alice-1'));
  assert.equal(
    (await call('GET', `groups/${group.id}/users/${id}`)).status,
    204,
    'also what a mapping had given before',
  );
});

test('a mapping makes projects in the domain of the provider, or names a user who is here already', async () => {
  const projects = [{ name: 'of the mapping', roles: [{ name: 'member' }, { name: 'nothing' }] }];
  const { name, provider } = await setUp({}, rules({ projects }));
  const answer = await login(name, await accessToken('bob-2'));
  const token = String(answer.headers['x-subject-token']);
  const [project] = (await api.call({ method: 'GET', path: '/identity/v3/auth/projects', token })).body.projects;
  assert.deepEqual([project.name, project.domain_id], ['of the mapping', provider.domain_id]);
  const here = await make('user', { name: unique() });
  const local = { user: { name: here.name, domain: { id: 'default' }, type: 'local' } };
  const second = await setUp({}, [{ local: [local], remote: [{ type: 'sub' }] }]);
  assert.equal((await login(second.name, await accessToken('bob-2'))).body.token.user.id, here.id);
  await call('PATCH', `users/${here.id}`, { user: { enabled: false } });
  assert.equal((await login(second.name, await accessToken('bob-2'))).status, 401);
});

test('service providers are made, shown, listed, changed and removed', async () => {
  const id = `${unique()} 北`;
  const path = `OS-FEDERATION/service_providers/${encodeURIComponent(id)}`;
  const urls = { auth_url: 'https://other.test/auth', sp_url: 'https://other.test/sp' };
  const { status, body } = await call('PUT', path, { service_provider: urls });
  assert.equal(status, 201, JSON.stringify(body));
  const { links, ...made } = body.service_provider;
  assert.deepEqual(made, { id, ...urls, description: null, enabled: true, relay_state_prefix: 'ss:mem:' });
  assert.ok(links.self);
  assert.equal((await call('PUT', path, { service_provider: urls })).status, 409);
  assert.equal(
    (await call('PATCH', path, { service_provider: { enabled: false } })).body.service_provider.enabled,
    false,
  );
  assert.equal((await call('GET', 'OS-FEDERATION/service_providers?enabled=false')).body.service_providers.length, 1);
  assert.equal((await call('DELETE', path)).status, 204);
  assert.equal((await call('GET', path)).status, 404);
});

test('nobody takes the name of another user of the domain', async () => {
  const domain = await make('domain', { name: unique() });
  const { id } = await make('user', { name: 'bob 小屋', domain_id: domain.id });
  const { name } = await setUp({ domain_id: domain.id });
  assert.equal((await login(name, await accessToken('bob-2'))).status, 401);
  assert.equal((await call('GET', `users/${id}`)).status, 200);
});

test('providers, protocols and mappings are made, shown, changed and removed, and no secret is told', async () => {
  const { name, provider } = await setUp({ description: 'x', authorization_ttl: 5 });
  assert.deepEqual(provider.oidc, { client_id: 'bothy', scope: null });
  const path = `OS-FEDERATION/identity_providers/${name}`;
  assert.deepEqual((await call('GET', path)).body.identity_provider, provider);
  assert.equal((await call('GET', `OS-FEDERATION/identity_providers?id=${name}`)).body.identity_providers.length, 1);
  assert.equal((await call('PUT', path, { identity_provider: {} })).status, 409);
  const changed = await call('PATCH', path, { identity_provider: { description: null, remote_ids: ['a', 'b'] } });
  assert.deepEqual(changed.body.identity_provider.remote_ids, ['a', 'b']);
  assert.equal((await call('GET', `${path}/protocols/openid`)).body.protocol.mapping_id, name);
  assert.equal((await call('GET', `${path}/protocols`)).body.protocols.length, 1);
  assert.equal((await call('DELETE', `OS-FEDERATION/mappings/${name}`)).status, 409, 'in use');
  const malformed = [{ local: [{ user: { name: 'x' } }], remote: [{ type: 'a', any_one_of: ['('], regex: true }] }];
  assert.equal((await call('PATCH', `OS-FEDERATION/mappings/${name}`, { mapping: { rules: malformed } })).status, 400);
  for (const wrong of [[], [{}], [{ local: [], remote: [] }], [{ local: [{ other: 1 }], remote: [{ type: 'a' }] }]]) {
    const answer = await call('PUT', `OS-FEDERATION/mappings/${unique()}`, { mapping: { rules: wrong } });
    assert.equal(answer.status, 400, JSON.stringify(wrong));
  }
  assert.equal((await call('DELETE', `${path}/protocols/openid`)).status, 204);
  assert.equal((await call('DELETE', `OS-FEDERATION/mappings/${name}`)).status, 204);
  assert.equal((await call('DELETE', path)).status, 204);
  assert.equal((await call('GET', path)).status, 404);
  const { rows } = await sql`select from change where body::text like '%secret of bothy%'`.execute(
    api.cloud.db.database.query,
  );
  assert.equal(rows.length, 0);
});
