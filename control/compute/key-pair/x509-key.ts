/**
 * Key pairs of type x509, for guests that let people in by a certificate (WinRM): reading those that callers import, and making them
 * as Nova does. Pure; knows no database.
 */
import '../../pki/reflect.ts';
import { KeyObject, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { CloudError } from '../../../contract/errors.ts';
import { serverLimits } from '../../../contract/host/limits.ts';
import { Secret } from '../../../contract/secret.ts';
import { pkcs12 } from './pkcs12.ts';
import type { GeneratedKey, ReadKey } from './ssh-key.ts';

/** @throws CloudError `invalid` when the text is no certificate */
export function readCertificate(text: string): ReadKey {
  if (text.length > serverLimits.publicKeyLength) {
    throw new CloudError('invalid', 'public_key_invalid', { why: 'certificate_too_long' });
  }
  try {
    return { publicKey: text, fingerprint: new X509Certificate(text).fingerprint.toLowerCase() };
  } catch (error) {
    throw new CloudError('invalid', 'public_key_invalid', { why: 'certificate_unreadable' }, { cause: error });
  }
}

const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 } as const;
const exponent = new Uint8Array([1, 0, 1]);
const lifeMs = 3650 * 24 * 3600 * 1000;

/**
 * A certificate that signs itself, for the user at localhost, and its private key, once: as PKCS #12 with an empty password, in
 * base64. The key is kept nowhere.
 */
export async function generateX509Key(userId: string): Promise<GeneratedKey> {
  const keys = await crypto.subtle.generateKey({ ...algorithm, publicExponent: exponent }, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [userId] }],
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(now),
    notAfter: new Date(now + lifeMs),
    extensions: [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'upn', value: `${userId}@localhost` }]),
    ],
  });
  const bundle = pkcs12(KeyObject.from(keys.privateKey), Buffer.from(certificate.rawData));
  const publicKey = `${certificate.toString('pem')}\n`;
  return { ...readCertificate(publicKey), privateKey: new Secret(bundle.toString('base64')) };
}
