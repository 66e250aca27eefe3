import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { newId } from '../../contract/ids.ts';
import { type Claims, keyIdOf, maxTokenLength, newAuditId, type Scope, signToken, verifyToken } from './token.ts';

const key = { id: newId(), secret: randomBytes(32) };
const claimsIn = (scope: Scope): Claims => ({
  userId: newId(),
  version: 3,
  scope,
  methods: ['password', 'application_credential', 'token'],
  auditIds: [newAuditId(), newAuditId()],
  applicationCredentialId: newId(),
  trustId: newId(),
  issuedAt: Date.now(),
  expiresAt: Date.now() + 1000,
});

const scopes: Scope[] = [
  { type: 'unscoped' },
  { type: 'system' },
  { type: 'project', projectId: newId() },
  { type: 'domain', domainId: newId() },
];

test('a token says again what was signed, in every scope, and is short', () => {
  for (const scope of scopes) {
    const claims = claimsIn(scope);
    const token = signToken(key, claims);
    assert.equal(keyIdOf(token), key.id);
    assert.deepEqual(verifyToken(key, token), claims);
    assert.ok(token.length <= 700, `${token.length}`);
  }
});

const signs = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

test('a token that was altered anywhere, or signed by another key, is not verified', () => {
  const token = signToken(key, claimsIn(scopes[2]!));
  assert.equal(verifyToken({ ...key, secret: randomBytes(32) }, token), undefined);
  for (let at = 0; at < token.length; at++) {
    if (token[at] === '.') continue;
    // The last sign has bits that say nothing: each other sign there is tried.
    const last = at === token.length - 1;
    for (const sign of last ? signs : [token[at] === 'A' ? 'B' : 'A']) {
      if (sign === token[at]) continue;
      const altered = `${token.slice(0, at)}${sign}${token.slice(at + 1)}`;
      assert.ok(keyIdOf(altered) !== key.id || verifyToken(key, altered) === undefined, `altered at ${at}`);
    }
  }
});

test('only our own algorithm is taken, whatever the header says', () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = part({ sub: newId(), v: 0, m: 'p', a: ['x'], iat: 0, exp: Number.MAX_SAFE_INTEGER });
  for (const alg of ['none', 'HS512', 'RS256', undefined]) {
    const body = `${part({ alg, kid: key.id })}.${payload}`;
    const signature = createHmac('sha256', key.secret).update(body).digest('base64url');
    assert.equal(keyIdOf(`${body}.${signature}`), undefined);
  }
});

test('what is no token at all names no key', () => {
  for (const text of [
    '',
    'x',
    'a.b.c',
    '..',
    `${'a'.repeat(maxTokenLength)}.b.c`,
    'gAAAAABh小屋',
    `${'e30'.repeat(5)}.${'e30'.repeat(5)}.${'A'.repeat(43)}`,
  ]) {
    assert.equal(keyIdOf(text), undefined, text.slice(0, 20));
  }
});
