import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Provider, ProviderUnreachable, TokenRefused } from './provider.ts';

test('a provider that moves its keys to another address is followed when its configuration is looked at anew', async (t) => {
  const pairs = await Promise.all([1, 2].map(() => generateKeyPair('ES256', { extractable: true })));
  let generation = 0;
  const server = createServer(async (request, response) => {
    const [, which] = /^\/keys\/(\d)$/.exec(request.url ?? '') ?? [];
    const answer =
      which === undefined
        ? { issuer, jwks_uri: `${issuer}/keys/${generation}` }
        : { keys: [{ ...(await exportJWK(pairs[Number(which)]!.publicKey)), alg: 'ES256', kid: which }] };
    response.end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider({ issuer, audiences: ['us'], configurationLastsMs: 0 });
  for (; generation < 2; generation++) {
    const token = new SignJWT({ sub: 'alice' }).setProtectedHeader({ alg: 'ES256', kid: String(generation) });
    const text = await token
      .setIssuer(issuer)
      .setAudience('us')
      .setExpirationTime('1m')
      .sign(pairs[generation]!.privateKey);
    assert.equal((await provider.claimsOf(text)).sub, 'alice', `keys ${generation}`);
  }
});

test('what a provider states of who logged in is taken only where it is for us, of this log-in and signed by it', async (t) => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const foreign = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  /** What the provider does next. */
  const next: { statement?: string; status: number; userinfo: object; asked: string[] } = {
    ...{ status: 200, userinfo: { sub: 'alice', email: 'a@idp.test' }, asked: [] },
  };
  const server = createServer(async (request, response) => {
    const body = (await request.toArray()).join('');
    const answers: Record<string, object> = {
      '/.well-known/openid-configuration': {
        ...{ issuer, jwks_uri: `${issuer}/keys`, token_endpoint: `${issuer}/token`, userinfo_endpoint: `${issuer}/me` },
        ...{ authorization_endpoint: `${issuer}/auth?tenant=小屋` },
      },
      '/keys': { keys: [{ ...jwk, alg: 'ES256', kid: 'one' }] },
      '/token': next.status === 200 ? { id_token: next.statement, access_token: 't' } : { error: 'invalid_grant' },
      '/me': next.userinfo,
    };
    if (request.url === '/token') next.asked = [String(request.headers.authorization), body];
    response.statusCode = request.url === '/token' ? next.status : 200;
    response.end(JSON.stringify(answers[request.url!]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = { id: 'us & you', secret: 'sécret:' };
  const provider = new Provider({ issuer, audiences: ['us & you', 'others'], client });
  const login = { redirectUri: 'https://here.test/back?x=1', nonce: 'n', verifier: 'v'.repeat(43) };
  const good = { iss: issuer, aud: client.id, sub: 'alice', nonce: 'n', exp: Math.floor(Date.now() / 1000) + 60 };
  const stated = (claims: Record<string, unknown>, key: Parameters<SignJWT['sign']>[0] = privateKey, alg = 'ES256') =>
    new SignJWT(claims).setProtectedHeader({ alg, kid: 'one' }).sign(key);
  const claims = async (statement: string | undefined) => {
    Object.assign(next, { statement });
    return provider.claimsOfCode('the code', login);
  };

  const url = new URL(await provider.authorizationUrl({ ...login, scope: 'openid', state: 's&t' }));
  assert.deepEqual([url.searchParams.get('tenant'), url.searchParams.get('state')], ['小屋', 's&t']);
  assert.ok(!url.href.includes(login.verifier), 'only its digest goes with the browser');
  assert.deepEqual(await claims(await stated(good)), { email: 'a@idp.test', ...good });
  const [basic, body] = next.asked;
  assert.equal(
    Buffer.from(basic!.split(' ')[1]!, 'base64').toString(),
    `${encodeURIComponent(client.id)}:${encodeURIComponent(client.secret)}`,
  );
  const sent = new URLSearchParams(body);
  assert.deepEqual([sent.get('code_verifier'), sent.get('redirect_uri')], [login.verifier, login.redirectUri]);
  const { nonce: _, ...withoutNonce } = good;
  const wrong: [string, string | undefined][] = [
    ['nothing', undefined],
    ['no statement', 'x.y.z'],
    ['another log-in', await stated({ ...good, nonce: 'm' })],
    ['no log-in', await stated(withoutNonce)],
    ['somebody else', await stated({ ...good, aud: 'others' })],
    ['given on', await stated({ ...good, aud: [client.id, 'others'], azp: 'others' })],
    ['another issuer', await stated({ ...good, iss: 'https://evil.test' })],
    ['an end that was', await stated({ ...good, exp: good.exp - 7200 })],
    ['no end', await stated({ ...good, exp: undefined })],
    ['nobody', await stated({ ...good, sub: undefined })],
    ['another key', await stated(good, foreign.privateKey)],
    ['the secret as key', await stated(good, Buffer.from(client.secret.padEnd(32)), 'HS256')],
  ];
  for (const [what, statement] of wrong) await assert.rejects(claims(statement), TokenRefused, what);
  next.userinfo = { sub: 'bob' };
  await assert.rejects(claims(await stated(good)), TokenRefused, 'userinfo of another');
  next.status = 400;
  await assert.rejects(claims(await stated(good)), TokenRefused, 'a code that was used');
  next.status = 500;
  await assert.rejects(claims(await stated(good)), ProviderUnreachable);
});
