/** Requests as no library would send them: one kind a function, all its choices from the seed. */

import type { Random } from '../support/random.ts';
import type { RawOptions } from '../support/raw-http.ts';

export interface RawRequest {
  kind: string;
  pieces: (string | Buffer)[];
  options: Pick<RawOptions, 'end' | 'cut' | 'answers'>;
  /** The dialect whose form an answer must have: what we sent is whole and legible HTTP/1.1. */
  dialect?: string;
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'get'];
const places = [
  '/identity/v3/auth/tokens',
  '/identity/v3/users/x',
  '/compute/v2.1/servers',
  '/compute/v2.1/servers/x/action',
  '/volume/v3/types',
  '/network/v2.0/networks',
  '/network/v2.0/ports/x',
  '/image/v2/images',
  '/image/v2/images/x/file',
  '/native/v1/changes',
  '/native/v1/operations/x',
];
const oddTargets = [
  ...['/', '*', '', '//', '///', '?', '#', '/?', '/#', '/%', '/%00', '/%zz', '/..', '/\\', '/;', '\u00e9', '/\u00e9'],
  ...[
    '//x/y',
    'https://api',
    'https://api/',
    'https://',
    'https:',
    'http://[',
    'http://[::1',
    'http://a b/',
    '::',
    ':443',
  ],
  ...[
    'api:443',
    'localhost',
    '/\u0000',
    '/a b',
    'ftp://x/y',
    'https://u:p@api/identity/v3',
    'https://api:99999/identity',
  ],
  ...[
    '/identity/v3/../../../x',
    '/compute/v2.1/servers/%2e%2e',
    '/compute//v2.1',
    '/v1/hosts/stream',
    '/native/v1/hosts/stream',
  ],
];
const suffixes = [
  '',
  '/',
  '//',
  '?',
  '?a',
  '?=',
  '?&&',
  '?limit=x',
  '?limit=-1',
  '?marker=x',
  '?%',
  '?%00',
  '?%ff',
  '#x',
  ';x',
];
const headers = [
  'authorization: Bearer',
  'authorization: Bearer \u00ff',
  'x-auth-token: x',
  `x-auth-token: ${'t'.repeat(2000)}`,
  'x-subject-token: ..',
  'range: bytes=-',
  'range: bytes=9-1,3-',
  'openstack-api-version: compute 2.9999999999999999999',
  'openstack-api-version: compute latest,compute 2.1',
  'openstack-api-version: volume 3.99',
  'x-openstack-nova-api-version: \u00e9',
  'content-type: ',
  'content-type: application/json; charset="',
  'content-type: text/plain',
  'content-type: multipart/form-data',
  'content-encoding: gzip',
  'accept: \u00ff',
  'accept: text/event-stream',
  'last-event-id: x',
  'if-match: *',
  'expect: 100-continue',
  'expect: the unexpected',
  'te: trailers',
  'trailer: x',
  'connection: close, upgrade, x-auth-token',
  'keep-alive: timeout=99999999999999999999',
  'host: ',
  'host: a, b',
  'cookie: ;;;=',
  'x-forwarded-for: ::',
];
const bodies = [
  '',
  '{}',
  '[]',
  'null',
  '1',
  '"x"',
  '{',
  '{"auth":',
  '{"server":null}',
  '{"network":[]}',
  '\u0000',
  '{"__proto__":1}',
];

const head = (random: Random, method: string, target: string, more: readonly string[] = []): string => {
  const chosen = Array.from({ length: random.below(4) }, () => random.pick(headers));
  return `${[`${method} ${target} HTTP/1.1`, 'host: api', ...chosen, ...more].join('\r\n')}\r\n\r\n`;
};
const place = (random: Random): string => random.pick(places) + random.pick(suffixes);

const kinds: Record<string, (random: Random) => Omit<RawRequest, 'kind'>> = {
  'a legible request'(random) {
    const method = random.pick(methods.slice(0, 6));
    const path = random.pick(places);
    const body = method === 'GET' || method === 'HEAD' ? '' : random.pick(bodies);
    const lines = [`${method} ${path}${random.pick(suffixes.slice(0, 10))} HTTP/1.1`, 'host: api'];
    if (body) lines.push('content-type: application/json', `content-length: ${Buffer.byteLength(body, 'latin1')}`);
    const sent = [`${lines.join('\r\n')}\r\n\r\n${body}`];
    return { pieces: sent, options: { answers: 1 }, ...(method === 'HEAD' ? {} : { dialect: path.split('/')[1]! }) };
  },
  'a method, a target and headers'(random) {
    return { pieces: [head(random, random.pick(methods), place(random))], options: { end: random.chance(0.5) } };
  },
  'an odd target'(random) {
    return {
      pieces: [head(random, random.pick(methods), random.pick(oddTargets))],
      options: { end: random.chance(0.3) },
    };
  },
  'an upgrade'(random) {
    const protocol = random.pick(['websocket', 'h2c', 'TLS/1.3', 'x', '']);
    const target = random.chance(0.5) ? random.pick(oddTargets) : place(random);
    const version = random.pick(['13', '8', '0', 'x']);
    const key = random.pick(['dGhlIHNhbXBsZSBub25jZQ==', 'x', '']);
    const lines = [`upgrade: ${protocol}`, 'connection: upgrade', `sec-websocket-version: ${version}`];
    const pieces: (string | Buffer)[] = [
      head(random, random.pick(['GET', 'POST']), target, [...lines, `sec-websocket-key: ${key}`]),
    ];
    if (random.chance(0.5)) pieces.push(random.bytes(random.below(200)));
    return { pieces, options: { cut: random.chance(0.3), end: random.chance(0.3) } };
  },
  'an authority'(random) {
    return {
      pieces: [head(random, 'CONNECT', random.pick(['api:443', '[::1]:443', '/', '', 'x'])), random.bytes(20)],
      options: { end: true },
    };
  },
  'lengths that contradict each other'(random) {
    const length = () =>
      random.pick(['0', '1', '5', '-1', '+5', '5, 6', '0x5', '99999999999999999999', '', ' ', '1e3']);
    const lines = [`content-length: ${length()}`];
    if (random.chance(0.5)) lines.push(`content-length: ${length()}`);
    if (random.chance(0.5))
      lines.push(`transfer-encoding: ${random.pick(['chunked', 'gzip, chunked', 'x', 'chunked, chunked'])}`);
    const body = random.pick(['hello', '5\r\nhello\r\n0\r\n\r\n', 'zz\r\n', '0\r\n\r\n', 'fffffffffffffffff\r\n']);
    return { pieces: [head(random, 'POST', place(random), lines), body], options: { end: true } };
  },
  'a body that is cut'(random) {
    const target = random.chance(0.5) ? '/identity/v3/auth/tokens' : place(random);
    const type = random.pick([
      'application/json',
      'application/octet-stream',
      'application/openstack-images-v2.1-json-patch',
    ]);
    const lines = [`content-type: ${type}`, `content-length: ${random.pick(['10', '1000', '100000000'])}`];
    const pieces = [head(random, random.pick(['POST', 'PUT', 'PATCH']), target, lines), '{"a'];
    return { pieces, options: random.chance(0.5) ? { cut: true } : { end: true } };
  },
  'a body that does not end'(random) {
    const lines = ['content-type: application/json', 'transfer-encoding: chunked'];
    const chunk = `1000\r\n${' '.repeat(4096)}\r\n`;
    const pieces = [
      head(random, 'POST', '/identity/v3/auth/tokens', lines),
      ...Array.from({ length: 300 }, () => chunk),
    ];
    return { pieces, options: { cut: random.chance(0.3) } };
  },
  'requests behind each other'(random) {
    const count = 2 + random.below(20);
    const pieces = Array.from({ length: count }, () => head(random, 'GET', place(random)));
    return {
      pieces: random.chance(0.5) ? [pieces.join('')] : pieces,
      options: { answers: count, cut: random.chance(0.2) },
    };
  },
  'a giant head'(random) {
    const more = random.pick([
      `x: ${'y'.repeat(random.pick([10_000, 20_000, 100_000]))}`,
      Array.from({ length: 3000 }, (_, index) => `x-${index}: y`).join('\r\n'),
    ]);
    const target = random.chance(0.3) ? `/compute/v2.1/servers/${'z'.repeat(15_000)}` : place(random);
    return { pieces: [head(random, 'GET', target, [more])], options: {} };
  },
  'a broken head'(random) {
    const lines = [
      'x',
      ': y',
      'x : y',
      ' x: y',
      'x: \u0000',
      'x: y\r\n z',
      'x: y\n',
      '\u00e9: y',
      'x\t: y',
      'host: a',
      'x:\r\r',
    ];
    return {
      pieces: [`GET ${place(random)} HTTP/1.1\r\nhost: api\r\n${random.pick(lines)}\r\n\r\n`],
      options: { end: true },
    };
  },
  'an old or a strange version'(random) {
    const version = random.pick([
      '',
      ' HTTP/0.9',
      ' HTTP/1.0',
      ' HTTP/2.0',
      ' HTTP/9.9',
      ' HTTP/',
      ' http/1.1',
      ' ICY',
    ]);
    return {
      pieces: [`GET ${place(random)}${version}\r\n${random.chance(0.5) ? 'host: x\r\n' : ''}\r\n`],
      options: { end: true },
    };
  },
  'the preface of HTTP/2'(random) {
    return {
      pieces: ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', random.bytes(random.below(64))],
      options: { end: random.chance(0.5) },
    };
  },
  'no HTTP at all'(random) {
    const size = random.pick([0, 1, 10, 1000, 70_000]);
    return { pieces: [random.bytes(size), '\r\n\r\n'], options: { end: random.chance(0.7), cut: random.chance(0.1) } };
  },
  'half a head, then nothing'(random) {
    const whole = head(random, 'GET', place(random));
    const cut = 1 + random.below(whole.length - 1);
    return { pieces: [whole.slice(0, cut)], options: random.chance(0.5) ? { end: true } : { cut: true } };
  },
  'bytes one by one'(random) {
    return { pieces: [...head(random, 'GET', place(random)).slice(0, 200)], options: { end: true } };
  },
};

export const rawKinds = Object.keys(kinds);

export const rawRequest = (kind: string, random: Random): RawRequest => ({ kind, ...kinds[kind]!(random) });
