/** What a machine tells to whom before it has joined; real TLS, with a false cloud or a true one at the other end. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hostProtocol } from '../../contract/host/index.ts';
import { type TestTls, testAuthority } from '../../test/support/certificates.ts';
import { loadSettings } from '../settings.ts';
import { freePort } from './free-port.ts';
import { joiningKey, writeIdentity } from './identity.ts';
import { askToJoin, joinCloud, lookAt } from './join.ts';
import { cloudLayout } from './layout.ts';

const fingerprintOf = (pem: string): string => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');

/** Answers with what is given, and counts who asked. */
async function cloudOf(
  t: TestContext,
  tls: TestTls,
  answer: () => { status: number; body: object },
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server: Server = createServer(tls, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.resume();
    const { status, body } = answer();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('a machine trusts the root that the token names, and none that is said beside it', async (t) => {
  const [cloud, thief] = [await testAuthority('cloud'), await testAuthority('thief')];
  const said = { cloud_id: 'c', version: '1', protocol: { ...hostProtocol } };
  const good = await cloudOf(t, await cloud.issue('bothy-control'), () => ({
    status: 200,
    body: { ...said, ca: cloud.ca },
  }));
  const fingerprint = fingerprintOf(cloud.ca);
  assert.equal(fingerprintOf((await lookAt(good.url, fingerprint)).ca), fingerprint);

  // The cloud's root is no secret: who is in between can say it, and his own after it.
  const between = await cloudOf(t, await thief.issue('bothy-control'), () => ({
    status: 200,
    body: { ...said, ca: `${cloud.ca}\n${thief.ca}` },
  }));
  await assert.rejects(lookAt(between.url, fingerprint), { name: 'CommandError' });
  assert.equal(between.asked.length, 1, 'what would be trusted is not asked');
});

test('a cloud that stops answering in between is named with a cure', async (t) => {
  const cloud = await testAuthority();
  const answers = [
    { status: 200, body: { ca: cloud.ca } },
    { status: 503, body: {} },
  ];
  const { url } = await cloudOf(t, await cloud.issue('bothy-control'), () => answers.shift()!);
  await assert.rejects(lookAt(url, fingerprintOf(cloud.ca)), { name: 'CommandError', message: /it answers 503/ });
});

test('a key that control may know outlives a refusal; one that was made for it does not', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-joining-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const settings = loadSettings(join(directory, 'data'), {
    ...{ BOTHY_HOST_PORT: String(await freePort()), BOTHY_LISTEN: '127.0.0.1' },
  });
  const authority = await testAuthority();
  const { url } = await cloudOf(t, await authority.issue('bothy-control'), () => ({
    status: 401,
    body: { error: { reason: 'host_token_refused', message: 'the token is none of this cloud' } },
  }));
  const seen = { ca: authority.ca, cloudId: 'c', local: '127.0.0.1', remote: '127.0.0.1' };
  const file = join(settings.paths.data, joiningKey);
  const ask = () => askToJoin(settings, { url, token: '', name: 'second' }, { seen, secret: 'wrong' });
  await assert.rejects(ask(), { message: /none of this cloud/ });
  assert.ok(!existsSync(settings.paths.data));

  // Stopped after it had asked: control made it a host, and the answer was lost. Then another token is tried.
  await assert.rejects(
    askToJoin(settings, { url, token: '', name: 'second' }, { seen, secret: 'right' }, (done) => {
      if (done === 'answer') throw new Error('it dies');
    }),
    { message: 'it dies' },
  );
  assert.ok(existsSync(file));
  await assert.rejects(ask(), { message: /none of this cloud/ });
  assert.ok(existsSync(file), 'else the token that was used up by it would be lost, and the host with it');
});

test('a join that was stopped when all was written is done, whatever listens here by now', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-joined-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const settings = loadSettings(join(directory, 'data'), {});
  const { paths } = settings;
  const url = 'https://192.0.2.7:8443';
  const joined = { controlUrl: url, southbound: 'ssl:192.0.2.7:6642', hostName: 'second', address: '192.0.2.8' };
  const { key, cert } = await (await testAuthority()).issue('second');
  const { hostCertificate } = cloudLayout(paths);
  mkdirSync(join(paths.data, 'certificates'), { recursive: true });
  writeIdentity(paths, { cloudId: 'c', hostId: 'h', createdAt: '', joined });
  writeFileSync(join(paths.data, joiningKey), key);
  writeFileSync(hostCertificate.key, key);
  const again = () => joinCloud(settings, { url, token: '', name: 'second' });
  await assert.rejects(again(), { message: /no token/ }, 'it goes on: the certificate is not there');
  writeFileSync(hostCertificate.certificate, cert);
  await again();
  assert.ok(!existsSync(join(paths.data, joiningKey)));
  await again();
});
