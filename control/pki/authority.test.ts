import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { Authority, type LeafRequest } from './authority.ts';

const directory = mkdtempSync(join(tmpdir(), 'bothy-authority-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const request: LeafRequest = {
  name: 'api',
  commonName: 'bothy-api',
  names: ['localhost', '127.0.0.1', '::1'],
  usages: ['server', 'client'],
};

test('the authority is made once, and a certificate is kept while it is good', async () => {
  const first = await Authority.open(directory, 'cloud-1');
  const made = await first.ensure(request);
  assert.equal(made.renewed, true);
  const root = readFileSync(first.caFile, 'utf8');
  const again = await Authority.open(directory, 'cloud-1');
  assert.equal((await again.ensure(request)).renewed, false);
  assert.equal(readFileSync(again.caFile, 'utf8'), root);
  assert.equal(statSync(made.key).mode & 0o777, 0o600);
  assert.equal(statSync(join(directory, 'ca.key')).mode & 0o777, 0o600);
});

test('a certificate is made anew when a name is missing in it or its key is another', async () => {
  const authority = await Authority.open(directory, 'cloud-1');
  const wider = { ...request, names: [...request.names, 'cloud.example.org'] };
  assert.equal((await authority.ensure(wider)).renewed, true);
  const files = await authority.ensure(wider);
  assert.equal(files.renewed, false);
  writeFileSync(files.key, readFileSync(join(directory, 'ca.key')));
  assert.equal((await authority.ensure(wider)).renewed, true);
});

test('a TLS server with the certificate is trusted by who trusts the root, by name and by address', async () => {
  const authority = await Authority.open(directory, 'cloud-1');
  const files = await authority.ensure(request);
  const ca = readFileSync(authority.caFile);
  const options = { key: readFileSync(files.key), cert: readFileSync(files.certificate), ca, requestCert: true };
  const server = tls.createServer({ ...options, rejectUnauthorized: true }, (socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  for (const host of ['127.0.0.1', 'localhost']) {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: host === 'localhost' ? host : '', ...options });
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    assert.equal(socket.authorized, true);
    socket.destroy();
  }
  server.close();
  assert.equal(new X509Certificate(readFileSync(files.certificate)).subject, 'CN=bothy-api');
});
