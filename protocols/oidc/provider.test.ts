import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Provider } from './provider.ts';

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
