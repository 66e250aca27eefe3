/** Log-in with a browser at a real OpenID Connect provider (npm's oidc-provider): the browser here follows redirects and keeps cookies. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import { sql } from 'kysely';
import { testUrl } from '../../../control/identity/testing.ts';
import { type Answer, asAdministrator, type TestApi, testApi, unique } from './testing.ts';

/** What of oidc-provider's types is used here; it brings none. */
interface OidcProvider {
  callback(): (request: IncomingMessage, response: ServerResponse) => void;
  interactionDetails(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<{ params: { client_id: string; scope: string } }>;
  interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>;
  Grant: new (of: object) => { addOIDCScope(scope: string): void; save(): Promise<string> };
}

const origin = 'https://dashboard.test/auth/websso/?a="<b>&c';
const people: Record<string, object> = {
  'alice-1': { preferred_username: 'alice 小屋', email: 'alice@idp.test', groups: ['ops'] },
};
/** Who logs in at the provider from now on; undefined: whoever does says no. */
let person: string | undefined = 'alice-1';

let server: Server;
let issuer: string;
let api: TestApi;
let { call } = {} as ReturnType<typeof asAdministrator>;
let provider: string;

before(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  provider = `idp 小屋 ${unique()}`;
  const { default: Provider } = (await import('oidc-provider' as string)) as {
    default: new (issuer: string, options: object) => OidcProvider;
  };
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const oidc = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' }] },
    clients: [
      {
        ...{ client_id: 'bothy', client_secret: 'secret of bothy', grant_types: ['authorization_code'] },
        ...{ redirect_uris: [callbackOf(provider), callbackOf('public')], response_types: ['code'] },
      },
      {
        ...{ client_id: 'public', token_endpoint_auth_method: 'none', grant_types: ['authorization_code'] },
        ...{ redirect_uris: [callbackOf('public')], response_types: ['code'] },
      },
    ],
    claims: { openid: ['sub'], email: ['email'], profile: ['preferred_username'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    features: { userinfo: { enabled: true }, devInteractions: { enabled: false } },
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    cookies: { keys: ['of the test'] },
    ttl: { Session: 600, Grant: 60, Interaction: 60, AccessToken: 60, IdToken: 60, AuthorizationCode: 60 },
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url?.startsWith('/interaction/')) void atTheProvider(oidc, request, response);
    else oidc.callback()(request, response);
  });
  api = await testApi({ trustedDashboards: ['HTTPS://Dashboard.test/auth/websso/?a="<b>&c', 'http://localhost/x'] });
  ({ call } = asAdministrator(api));
  await setUp(provider, { client_id: 'bothy', client_secret: 'secret of bothy', scope: 'openid profile groups' });
});
after(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await api[Symbol.asyncDispose]();
});

const pathOf = (name: string) =>
  `/identity/v3/auth/OS-FEDERATION/identity_providers/${encodeURIComponent(name)}/protocols/openid/websso`;
const callbackOf = (name: string) => `${testUrl}${pathOf(name)}/callback`;

/** The person says who they are and that we may know. */
async function atTheProvider(oidc: OidcProvider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { params } = await oidc.interactionDetails(request, response);
  if (person === undefined) return oidc.interactionFinished(request, response, { error: 'access_denied' });
  const grant = new oidc.Grant({ accountId: person, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  await oidc.interactionFinished(request, response, {
    login: { accountId: person },
    consent: { grantId: await grant.save() },
  });
}

async function setUp(name: string, client: object | null, over: object = {}): Promise<void> {
  const put = async (path: string, body: object) => {
    const answer = await call('PUT', `OS-FEDERATION/${path}`, body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
  };
  const at = encodeURIComponent(name);
  await put(`identity_providers/${at}`, { identity_provider: { remote_ids: [issuer], oidc: client, ...over } });
  const [local, remote] = [[{ user: { name: '{0}', id: '{1}' } }], [{ type: 'preferred_username' }, { type: 'sub' }]];
  await put(`mappings/${at}`, { mapping: { rules: [{ local, remote }] } });
  await put(`identity_providers/${at}/protocols/openid`, { protocol: { mapping_id: name } });
}

/** Our cookies, and the provider's. */
class Browser {
  readonly cookies = { here: new Map<string, string>(), there: new Map<string, string>() };

  async get(path: string, method: 'GET' | 'POST' = 'GET'): Promise<Answer> {
    const answer = await api.call({ method, path, headers: { cookie: this.#header('here') } });
    this.#keep('here', [answer.headers['set-cookie'] ?? []].flat().map(String));
    return answer;
  }

  /** Answers where the provider sends the browser in the end. */
  async logIn(url: string): Promise<string> {
    for (let at = url, n = 0; n < 10; n++) {
      const answer = await fetch(at, { redirect: 'manual', headers: { cookie: this.#header('there') } });
      this.#keep('there', answer.headers.getSetCookie());
      const next = answer.headers.get('location');
      assert.ok(next, `${at} answers ${answer.status}: ${await answer.text()}`);
      at = new URL(next, at).href;
      if (at.startsWith(testUrl)) return at.slice(testUrl.length);
    }
    throw new Error('the provider sends the browser round and round');
  }

  async begin(path: string, method: 'GET' | 'POST' = 'GET'): Promise<string> {
    const answer = await this.get(`${path}?origin=${encodeURIComponent(origin)}`, method);
    assert.equal(answer.status, 302, JSON.stringify(answer.body));
    return String(answer.headers.location);
  }

  #header = (where: 'here' | 'there') => [...this.cookies[where]].map(([name, value]) => `${name}=${value}`).join('; ');

  #keep(where: 'here' | 'there', headers: readonly string[]): void {
    for (const header of headers) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(header)!;
      if (value === '') this.cookies[where].delete(name!);
      else this.cookies[where].set(name!, value!);
    }
  }
}

const fieldOf = (page: string, pattern: RegExp): string =>
  pattern
    .exec(page)![1]!
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');

test('a browser that logs in at the provider takes a token of its user to the dashboard', async () => {
  const browser = new Browser();
  const url = await browser.begin(pathOf(provider));
  const asked = new URL(url).searchParams;
  assert.deepEqual([asked.get('scope'), asked.get('code_challenge_method')], ['openid profile groups', 'S256']);
  assert.equal([...browser.cookies.here].length, 1);
  const page = await browser.get(await browser.logIn(url));
  assert.equal(page.status, 200, JSON.stringify(page.body));
  assert.equal(fieldOf(page.body, /action="([^"]*)"/), origin);
  const token = fieldOf(page.body, /name="token" id="token" value="([^"]*)"/);
  const { body } = await api.call({
    ...{ method: 'GET', path: '/identity/v3/auth/tokens', token: api.admin },
    headers: { 'x-subject-token': token },
  });
  assert.deepEqual([body.token.user.name, body.token.methods], ['alice 小屋', ['openid']]);
  assert.equal(page.headers['cross-origin-opener-policy'], 'same-origin', 'who opened the window does not read it');
  assert.match(String(page.headers['content-security-policy']), /form-action https:\/\/dashboard\.test; /);
  assert.equal(
    page.headers['referrer-policy'],
    'strict-origin',
    'a dashboard may ask who sends it, not with what code',
  );
  assert.deepEqual(
    [page.headers['cache-control'], browser.cookies.here.size],
    ['no-store', 0],
    'nothing is left of it',
  );
});

test('where one provider has the protocol nobody must name it; of several one must', async () => {
  const path = '/identity/v3/auth/OS-FEDERATION/websso/openid';
  const browser = new Browser();
  const page = await browser.get(await browser.logIn(await browser.begin(path, 'POST')));
  assert.equal(page.status, 200, JSON.stringify(page.body));
  await setUp('public', { client_id: 'public' });
  const several = await browser.get(`${path}?origin=${encodeURIComponent(origin)}`);
  assert.deepEqual([several.status, /several identity providers/.test(several.body.error.message)], [400, true]);
  const none = await browser.get(`/identity/v3/auth/OS-FEDERATION/websso/saml2?origin=${encodeURIComponent(origin)}`);
  assert.equal(none.status, 404);
});

test('a client without a secret proves by its verifier alone that it began', async () => {
  const browser = new Browser();
  const page = await browser.get(await browser.logIn(await browser.begin(pathOf('public'))));
  assert.equal(page.status, 200, JSON.stringify(page.body));
});

test('only dashboards that the operator trusts get tokens, letter by letter', async () => {
  const begin = (said: string) => new Browser().get(`${pathOf(provider)}${said}`);
  assert.match((await begin('')).body.error.message, /must have an origin/);
  assert.equal((await begin('?origin=')).status, 400);
  for (const other of [
    ...['https://evil.test/', `${origin}x`, origin.toUpperCase(), 'https://dashboard.test', 'javascript:alert(1)'],
    ...['https://dashboard.test@evil.test/', `${origin} `, `${origin}\n`, '\u0000'],
  ]) {
    const { status } = await begin(`?origin=${encodeURIComponent(other)}`);
    assert.ok([400, 401].includes(status), `${JSON.stringify(other)}: ${status}`);
  }
  const twice = await begin(`?origin=${encodeURIComponent(origin)}&origin=https%3A%2F%2Fevil.test`);
  assert.equal(twice.status, 401);
});

test('a code is taken once, from the browser that began, at the provider where it began', async () => {
  const [browser, victim] = [new Browser(), new Browser()];
  const back = await browser.logIn(await browser.begin(pathOf(provider)));
  assert.equal((await victim.get(back)).status, 401, 'a stranger’s log-in is no log-in of this browser');
  await victim.begin(pathOf(provider));
  for (const [name, value] of victim.cookies.here) browser.cookies.here.set(name, value);
  const elsewhere = back.replace(pathOf(provider), pathOf('public'));
  assert.equal((await browser.get(elsewhere)).status, 401, 'another provider’s address');
  assert.equal((await browser.get(back.replace('state=', 'state=x'))).status, 401);
  assert.equal((await browser.get(`${pathOf(provider)}/callback`)).status, 400);
  assert.equal((await browser.get(back.replace(/([?&])code=[^&]*/, '$1code='))).status, 401);
  assert.equal((await browser.get(back.replace(/iss=[^&]*/, 'iss=https%3A%2F%2Fevil.test'))).status, 401);
  const kept = new Map(browser.cookies.here);
  assert.equal((await browser.get(back)).status, 200);
  for (const [name, value] of kept) browser.cookies.here.set(name, value);
  assert.equal((await browser.get(back)).status, 401, 'used before');
});

test('what was changed on its way, or is old, is not taken', async () => {
  const browser = new Browser();
  const back = await browser.logIn(await browser.begin(pathOf(provider)));
  const [[name, value]] = [...browser.cookies.here] as [[string, string]];
  for (const other of ['', 'x', value.slice(2), `${value.slice(0, -4)}AAAA`, value.toUpperCase()]) {
    browser.cookies.here.set(name, other);
    assert.equal((await browser.get(back)).status, 401, other);
  }
  browser.cookies.here.set(name, value);
  const now = Date.now;
  Date.now = () => now() + 11 * 60_000;
  try {
    assert.equal((await browser.get(back)).status, 401);
  } finally {
    Date.now = now;
  }
});

test('who says no at the provider, and a provider that is off, lets nobody in', async () => {
  const browser = new Browser();
  person = undefined;
  const back = await browser.logIn(await browser.begin(pathOf(provider)));
  person = 'alice-1';
  assert.match(back, /error=access_denied/);
  assert.equal((await browser.get(back)).status, 401);
  const late = await browser.logIn(await browser.begin(pathOf(provider)));
  const path = `OS-FEDERATION/identity_providers/${encodeURIComponent(provider)}`;
  await call('PATCH', path, { identity_provider: { enabled: false } });
  assert.equal((await browser.get(late)).status, 403);
  assert.equal((await browser.get(`${pathOf(provider)}?origin=${encodeURIComponent(origin)}`)).status, 403);
  await call('PATCH', path, { identity_provider: { enabled: true } });
  const ask = (name: string) => browser.get(`${pathOf(name)}?origin=${encodeURIComponent(origin)}`);
  await setUp('nobody there', { client_id: 'x' }, { remote_ids: ['http://127.0.0.1:9'] });
  await setUp('no client', null);
  assert.deepEqual(
    [(await ask('nobody there')).status, (await ask('no client')).status, (await ask('none')).status],
    [...[503, 400, 404]],
  );
});

test('a scope is told and changed, and must be one', async () => {
  const path = `OS-FEDERATION/identity_providers/${encodeURIComponent('public')}`;
  const shown = async () => (await call('GET', path)).body.identity_provider.oidc;
  assert.deepEqual(await shown(), { client_id: 'public', scope: null });
  const change = (oidc: unknown) => call('PATCH', path, { identity_provider: { oidc } });
  assert.equal((await change({ scope: 'openid groups' })).status, 200);
  assert.deepEqual(await shown(), { client_id: 'public', scope: 'openid groups' });
  for (const scope of ['', ' openid', 'a  b', 'a"b', '小屋', 7, []])
    assert.equal((await change({ scope })).status, 400);
  assert.equal((await change({ scope: null })).status, 200);
  const { rows } = await sql`select from change where body::text like '%secret of bothy%'`.execute(
    api.cloud.db.database.query,
  );
  assert.equal(rows.length, 0);
});
