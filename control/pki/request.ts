/** Requests for certificates: what a machine sends to have its own key certified. The key never leaves it. */
import './reflect.ts';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A PKCS #10 request in PEM. @param key an ECDSA P-256 key in PEM (PKCS #8) */
export async function certificateRequestOf(key: string): Promise<string> {
  const der = (given: ReturnType<typeof createPublicKey>, type: 'pkcs8' | 'spki') =>
    new Uint8Array(given.export({ format: 'der', type } as never) as unknown as Buffer);
  const secret = createPrivateKey(key);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=bothy-host',
    keys: {
      privateKey: await crypto.subtle.importKey('pkcs8', der(secret, 'pkcs8'), algorithm, false, ['sign']),
      publicKey: await crypto.subtle.importKey('spki', der(createPublicKey(secret), 'spki'), algorithm, true, [
        'verify',
      ]),
    },
    signingAlgorithm: algorithm,
  });
  return `${request.toString('pem')}\n`;
}
