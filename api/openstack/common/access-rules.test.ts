/** Access rules against a real router, over a real socket: libraries would tidy the request targets up. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import pino from 'pino';
import type { AccessRule } from '../../../control/kit/caller.ts';
import { testCaller } from '../../../test/support/callers.ts';
import { testAuthority } from '../../../test/support/certificates.ts';
import { exchange } from '../../../test/support/raw-http.ts';
import { createApi } from '../../server.ts';
import { requireRule, routedPath } from './access-rules.ts';
import { authenticateAll } from './authenticate.ts';
import { speakFaults } from './faults.ts';

const rule = (path: string, method = 'GET', service = 'compute'): AccessRule => ({ service, method, path });

let api: FastifyInstance;
let port: number;
let ca: string;
/** Rules by token. */
const rulesOf = new Map<string, AccessRule[]>();

const routes = ['/v2.1/servers', '/v2.1/servers/:id', '/v2.1/servers/:id/ips', '/v2.1/secrets', '/v2.1/secrets/:id'];

before(async () => {
  const authority = await testAuthority();
  ca = authority.ca;
  api = await createApi({
    tls: await authority.issue('api'),
    log: pino({ level: 'silent' }),
    dialects: ['/compute', '/volume'].map((prefix) => ({
      prefix,
      plugin: async (app) => {
        speakFaults(app, { body: ({ message }) => ({ message }) });
        authenticateAll(app, {
          authenticate: async (token) => ({ ...testCaller(['member']), accessRules: rulesOf.get(token)! }),
        });
        for (const url of routes) {
          app.route({
            method: ['GET', 'HEAD', 'POST', 'DELETE'],
            url,
            handler: async (request: FastifyRequest) => {
              const { id } = request.params as { id?: string };
              return { message: request.routeOptions.url!.replace(':id', () => `<${id}>`) };
            },
          });
        }
      },
    })),
  });
  await api.listen({ host: '127.0.0.1', port: 0 });
  port = (api.server.address() as AddressInfo).port;
});
after(() => api.close());

/** Where requests of one target came to under each of the rules, or the status that refused them; in one connection. */
async function askAll(target: string, all: readonly (readonly AccessRule[])[], method = 'GET'): Promise<string[]> {
  const requests = all.map((rules, index) => {
    rulesOf.set(`${target} ${index}`, [...rules]);
    const more = index < all.length - 1 ? 'keep-alive' : 'close';
    return `${method} ${target} HTTP/1.1\r\nhost: api\r\nx-auth-token: ${target} ${index}\r\nconnection: ${more}\r\n\r\n`;
  });
  const { answers, ended } = await exchange(requests, { port, ca, answers: all.length });
  // An answer to no HTTP may get lost to the reset that follows it.
  if (answers.length === 0 && ended === 'by the server') return ['400'];
  return answers.map(({ status, body }) => (status === 200 ? JSON.parse(body).message : String(status)));
}

const ask = async (target: string, by: AccessRule | AccessRule[], method = 'GET'): Promise<string> =>
  (await askAll(target, [[by].flat()], method))[0]!;

test('a rule allows its own path, whatever the query, and no other', async () => {
  const own = rule('/v2.1/servers');
  assert.equal(await ask('/compute/v2.1/servers?limit=2', own), '/compute/v2.1/servers');
  assert.equal(await ask('/compute/v2.1/servers/', own), '/compute/v2.1/servers');
  assert.equal(await ask('/compute/v2.1/servers', rule('/v2.1/servers/')), '/compute/v2.1/servers');
  assert.equal(await ask('/compute/v2.1/servers/1', own), '403');
  assert.equal(await ask('/compute/v2.1/servers', rule('/v2x1/servers')), '403', 'a dot is a dot');
  assert.equal(await ask('/volume/v2.1/servers', own), '403', 'another service');
  assert.equal(await ask('/compute/v2.1/servers', own, 'POST'), '403', 'another method');
  assert.equal(await ask('/compute/v2.1/servers', []), '403', 'no rules at all');
});

test('one star or a name is one segment, two stars are any number', async () => {
  assert.equal(await ask('/compute/v2.1/servers/7/ips', rule('/v2.1/servers/*/ips')), '/compute/v2.1/servers/<7>/ips');
  assert.equal(
    await ask('/compute/v2.1/servers/7/ips', rule('/v2.1/servers/{id}/ips')),
    '/compute/v2.1/servers/<7>/ips',
  );
  assert.equal(await ask('/compute/v2.1/servers/7/ips', rule('/v2.1/servers/*')), '403');
  assert.equal(await ask('/compute/v2.1/servers/7/ips', rule('/v2.1/servers/**')), '/compute/v2.1/servers/<7>/ips');
  assert.equal(await ask('/compute/v2.1/secrets/7', rule('/v2.1/servers/**')), '403');
});

test('a service is known by all of its names', async () => {
  for (const name of ['volume', 'volumev3', 'block-storage']) {
    assert.equal(await ask('/volume/v2.1/servers', rule('/v2.1/servers', 'GET', name)), '/volume/v2.1/servers');
  }
});

/** Request targets that would be another thing to one reader than to another. */
const tricks = [
  ...[
    '#',
    '%23',
    '?',
    '%3f',
    ';',
    '%3b',
    '%00',
    '\\',
    '%5c',
    '%',
    '%zz',
    '%25',
    '//',
    '/./',
    '/../',
    '%2f',
    '%2F',
  ].flatMap((between) => [
    `/compute/v2.1/secrets${between}/v2.1/servers`,
    `/compute/v2.1/secrets${between}servers`,
    `/compute/v2.1/servers${between}secrets`,
    `/compute/v2.1/servers/..${between}secrets`,
    `/compute/v2.1/servers/x${between}/ips`,
    `/compute/v2.1${between}/servers`,
    `/compute${between}v2.1/servers`,
    `/compute/v2.1/secrets/x${between}/../../servers`,
  ]),
  '/compute/v2.1/servers/../secrets',
  '/compute/v2.1/servers/%2e%2e/secrets',
  '/compute/v2.1/servers/%2e%2e%2fsecrets',
  '/compute/v2.1/servers/..%2fsecrets',
  '/compute/v2.1/%73ecrets',
  '/compute/v2.1/s%65crets',
  '/compute/v2.1/servers%2fx',
  '/compute/v2.1/servers/%2f',
  '/compute/v2.1/servers//',
  '/compute/v2.1//servers',
  '//compute/v2.1/secrets',
  '/Compute/v2.1/secrets',
  '/compute/v2.1/SECRETS',
  '/compute/V2.1/secrets',
  'https://api/compute/v2.1/secrets',
  'http://api/compute/v2.1/servers',
  'https://api/compute/v2.1/secrets#/compute/v2.1/servers',
  'https://api#/compute/v2.1/secrets',
  'https://api?/compute/v2.1/secrets',
  'https:///compute/v2.1/secrets',
  'ftp://api/compute/v2.1/secrets',
  '*',
  'compute/v2.1/secrets',
  '?/compute/v2.1/servers',
  '#/compute/v2.1/servers',
  '/compute/v2.1/secrets\u00a0',
  '/compute/v2.1/\u00c3\u00a9',
  '/compute/v2.1/servers/%c3%a9',
  '/compute/v2.1/servers/%ef%bc%8f',
  '/compute/v2.1/secrets%20',
  '/compute/v2.1/secrets%0a',
  '/compute/v2.1/servers/%0asecrets',
  '/compute/v2.1/servers/%252e%252e',
  '/compute/v2.1/servers/%252fsecrets',
  '/volume/v2.1/secrets#/compute/v2.1/servers',
];

const forms: { rule: AccessRule; allows: RegExp }[] = [
  { rule: rule('/v2.1/servers'), allows: /^\/compute\/v2\.1\/servers$/ },
  { rule: rule('/v2.1/servers/*'), allows: /^\/compute\/v2\.1\/servers\/<[^>]+>$/s },
  { rule: rule('/v2.1/servers/{id}'), allows: /^\/compute\/v2\.1\/servers\/<[^>]+>$/s },
  { rule: rule('/v2.1/servers/*/ips'), allows: /^\/compute\/v2\.1\/servers\/<[^>]+>\/ips$/s },
  { rule: rule('/v2.1/servers/**'), allows: /^\/compute\/v2\.1\/servers\/<[^>]+>(\/ips)?$/s },
  { rule: rule('/**', 'GET', 'volume'), allows: /^\/volume\// },
  { rule: rule('/v2.1/servers/x/ips'), allows: /^\/compute\/v2\.1\/servers\/<x>\/ips$/ },
  { rule: rule('/v2.1/servers/x%2Fips'), allows: /^\/compute\/v2\.1\/servers\/<x%2[Ff]ips>$/ },
];

test('no way of writing a request target reaches a route that the rule does not name', async () => {
  for (const target of tricks) {
    const reached = await askAll(
      target,
      forms.map((form) => [form.rule]),
    );
    for (const [index, where] of reached.entries()) {
      const form = forms[index]!;
      if (where.startsWith('/')) assert.match(where, form.allows, `${target} by ${form.rule.path}`);
      else assert.match(where, /^4\d\d$/, `${target} by ${form.rule.path}`);
    }
  }
});

test('an escaped letter, an absolute form and a trailing slash are still the route that they are', async () => {
  for (const target of ['/compute/v2.1/%73ervers', 'https://api/compute/v2.1/servers', '/compute/v2.1/servers/']) {
    assert.equal(await ask(target, rule('/v2.1/servers')), '/compute/v2.1/servers', target);
  }
});

test('a slash within a value separates nothing', () => {
  assert.equal(routedPath('/compute/v2.1/servers/:id', { id: '../secrets' }), '/compute/v2.1/servers/..%2Fsecrets');
  const asked = (path: string, id: string) =>
    requireRule([rule(path)], 'GET', routedPath('/compute/v2.1/servers/:id', { id }));
  asked('/v2.1/servers/*', 'a/b');
  asked('/v2.1/servers/a%2Fb', 'a/b');
  asked('/v2.1/servers/a%20b', 'a b');
  assert.throws(() => asked('/v2.1/servers/a/b', 'a/b'));
  assert.throws(() => asked('/v2.1/servers/a%2Fb', 'a%2Fb'));
});

test('what can not be judged is refused', () => {
  for (const routed of [
    routedPath(undefined, {}),
    routedPath('/compute/:id', {}),
    routedPath('/compute/:id', { id: '' }),
    routedPath('/compute/*', { '*': 'v2.1/servers' }),
    routedPath('/compute/:name-:id', { name: 'a', id: 'b' }),
  ]) {
    assert.equal(routed, undefined);
    assert.throws(() => requireRule([rule('/**')], 'GET', routed));
  }
});

test('a rule of many stars takes no more time than its length times that of the request', () => {
  const judge = (stars: string, times: number, length: number) => {
    const path = `/v2.1/servers/${stars.repeat(times)}!`;
    const started = performance.now();
    assert.throws(() => requireRule([rule(path)], 'GET', `/compute/v2.1/servers/${'a'.repeat(length)}`));
    assert.ok(performance.now() - started < 1000, path);
  };
  // Small enough for one that goes back at every star to end at all, and to be seen.
  judge('**a', 7, 60);
  judge('{a}', 7, 60);
  judge('**a', 37, 300);
  judge('*', 110, 300);
});

test('stars meet what they stand for wherever it begins', () => {
  const meets = (pattern: string, path: string) => {
    try {
      requireRule([rule(pattern)], 'GET', `/compute${path}`);
      return true;
    } catch {
      return false;
    }
  };
  for (const path of ['/a/b/c', '/ab/c', '/a/c/c']) assert.ok(meets('/a**c', path), path);
  for (const path of ['/a', '/b/c', '/a/cd']) assert.ok(!meets('/a**c', path), path);
  assert.ok(meets('/**', '/') && meets('/a*a', '/aaa') && meets('/{id}/x', '/é\n/x'));
  assert.ok(!meets('/a*a', '/aa') && !meets('/a*a', '/ab/a') && !meets('/*', '/'));
});
