import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { generateSshKey, readSshKey } from './ssh-key.ts';
import { readCertificate } from './x509-key.ts';

const ed25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone@小屋';

test('a public key is read with the fingerprint that ssh-keygen -l -E md5 prints', () => {
  assert.equal(readSshKey(ed25519).fingerprint, '65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd');
});

test('what is no single public key is refused', () => {
  const [type, blob] = ed25519.split(' ');
  for (const text of [
    '',
    'hello',
    `${type}`,
    `${type} !!!`,
    `ssh-rsa ${blob}`,
    `${type} ${blob!.slice(0, -8)}`,
    `${ed25519}\nssh-ed25519 ${blob} second`,
    `command="rm" ${ed25519}`,
    `${type} ${'A'.repeat(20_000)}`,
  ]) {
    assert.throws(() => readSshKey(text), { code: 'invalid' }, text.slice(0, 40));
  }
  assert.throws(() => readCertificate('no certificate'), { code: 'invalid' });
});

test('a long text that is no key is refused at once', () => {
  const before = process.cpuUsage();
  for (const end of ['x', ''])
    assert.throws(() => readSshKey(`ssh-rsa ${'='.repeat(16_000)}${end}`), { code: 'invalid' });
  // Of processor time: what is meant took a second.
  assert.ok(process.cpuUsage(before).user < 100_000);
});

test('a generated pair belongs together, and the private key prints as stars', async () => {
  const made = await generateSshKey();
  assert.equal(readSshKey(made.publicKey).fingerprint, made.fingerprint);
  assert.equal(JSON.stringify(made).includes('PRIVATE'), false);
  const pem = made.privateKey.reveal();
  assert.match(pem, /^-----BEGIN RSA PRIVATE KEY-----/);
  const { n } = createPublicKey(pem).export({ format: 'jwk' });
  const blob = Buffer.from(made.publicKey.split(' ')[1]!, 'base64');
  assert.ok(blob.includes(Buffer.from(n!, 'base64url')));
});
