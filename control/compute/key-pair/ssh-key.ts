/**
 * SSH public keys: reading what callers import (untrusted text), and making pairs as Nova does (RSA 2048, private key in
 * PEM, PKCS #1). The fingerprint is MD5 with colons, as Nova shows it. Pure; knows no database.
 */
import { createHash, generateKeyPair, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { serverLimits } from '../../../contract/host/limits.ts';
import { LegacyError } from '../../../contract/legacy-error.ts';
import { Secret } from '../../../contract/secret.ts';

export interface ReadKey {
  publicKey: string;
  fingerprint: string;
}

const types =
  /^(ssh-(rsa|ed25519|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)$/;
/** MySQL's TEXT in Nova; no key of any use is longer. */
const maxLength = serverLimits.publicKeyLength;

const refuse = (reason: string): never => {
  throw new LegacyError('invalid', `Keypair data is invalid: ${reason}`);
};

const md5 = (data: Buffer): string => createHash('md5').update(data).digest('hex').match(/../g)!.join(':');

/** @throws CloudError `invalid` when the text is not one OpenSSH public key */
export function readSshKey(text: string): ReadKey {
  const line = text.trim();
  if (line.length > maxLength) refuse('the public key is too long');
  // More than one line would put further lines into the guest's authorized_keys.
  if (/[\r\n\0]/.test(line)) refuse('the public key must be one line');
  const [type = '', base64 = ''] = line.split(/[ \t]+/);
  if (!types.test(type)) refuse('failed to generate fingerprint: unknown type of key');
  const blob = Buffer.from(base64, 'base64');
  if (base64 === '' || blob.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, '')) {
    refuse('failed to generate fingerprint: the key is no base64');
  }
  const fields = readFields(blob);
  if (fields[0]?.toString() !== type || fields.length < 2) {
    refuse('failed to generate fingerprint: the key does not match its type');
  }
  return { publicKey: text, fingerprint: md5(blob) };
}

/** The length-prefixed strings of an SSH key (RFC 4253, section 6.6); empty when the lengths don't add up. */
function readFields(blob: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < blob.length) {
    if (at + 4 > blob.length) return [];
    const length = blob.readUInt32BE(at);
    if (at + 4 + length > blob.length) return [];
    fields.push(blob.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}

/** @throws CloudError `invalid` when the text is no certificate */
export function readCertificate(text: string): ReadKey {
  if (text.length > maxLength) refuse('the certificate is too long');
  try {
    return { publicKey: text, fingerprint: new X509Certificate(text).fingerprint.toLowerCase() };
  } catch (error) {
    throw new LegacyError('invalid', 'Keypair data is invalid: failed to generate X509 fingerprint', { cause: error });
  }
}

const generate = promisify(generateKeyPair);

export interface GeneratedKey extends ReadKey {
  privateKey: Secret;
}

/** A new RSA pair of 2,048 bits. The private key is handed out once and kept nowhere. */
export async function generateSshKey(): Promise<GeneratedKey> {
  const { publicKey, privateKey } = await generate('rsa', { modulusLength: 2048 });
  const { n, e } = publicKey.export({ format: 'jwk' });
  const blob = Buffer.concat([
    field(Buffer.from('ssh-rsa')),
    field(positive(Buffer.from(e!, 'base64url'))),
    field(positive(Buffer.from(n!, 'base64url'))),
  ]);
  return {
    publicKey: `ssh-rsa ${blob.toString('base64')} Generated-by-Nova`,
    fingerprint: md5(blob),
    privateKey: new Secret(privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()),
  };
}

function field(data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
}

/** An mpint is signed: a leading zero keeps a high first bit from meaning minus. */
const positive = (bytes: Buffer): Buffer => (bytes[0]! >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
