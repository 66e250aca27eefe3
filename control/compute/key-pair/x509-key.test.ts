import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { generateX509Key, readCertificate } from './x509-key.ts';

test('a certificate is made for a user, with a key that opens with an empty password and is the certificate’s', async () => {
  const user = '01a22222-7e70-7000-bee1-4300d4ec744e';
  const made = await generateX509Key(user);
  const certificate = new X509Certificate(made.publicKey);
  assert.equal(certificate.subject, `CN=${user}`);
  assert.ok(certificate.checkIssued(certificate));
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.match(certificate.subjectAltName ?? '', /othername/);
  const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / (24 * 3600 * 1000);
  assert.equal(days, 3650);
  assert.equal(made.fingerprint, readCertificate(made.publicKey).fingerprint);
  assert.match(made.fingerprint, /^([0-9a-f]{2}:){19}[0-9a-f]{2}$/);
  const pfx = Buffer.from(made.privateKey.reveal(), 'base64');
  // OpenSSL: checks the digest, opens the key, and holds it against the certificate.
  createSecureContext({ pfx, passphrase: '' });
  assert.throws(() => createSecureContext({ pfx, passphrase: 'x' }), /mac verify failure/i);
  pfx[pfx.length - 100]! ^= 1;
  assert.throws(() => createSecureContext({ pfx, passphrase: '' }));
});
