/**
 * SSH public keys: reading what callers import (untrusted text), and making pairs as Nova does (RSA 2048, private key in
 * PEM, PKCS #1). The fingerprint is MD5 with colons, as Nova shows it. Pure; knows no database.
 */

import { createHash, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { CloudError } from '../../../contract/errors.ts';
import { serverLimits } from '../../../contract/host/limits.ts';
import { Secret } from '../../../contract/secret.ts';
import type { ComputeReasons } from '../reasons.ts';

export interface ReadKey {
  publicKey: string;
  fingerprint: string;
}

const types =
  /^(ssh-(rsa|ed25519|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)$/;
/** MySQL's TEXT in Nova; no key of any use is longer. */
const maxLength = serverLimits.publicKeyLength;

const refuse = (why: ComputeReasons['public_key_invalid']['why']): never => {
  throw new CloudError('invalid', 'public_key_invalid', { why });
};

const md5 = (data: Buffer): string => createHash('md5').update(data).digest('hex').match(/../g)!.join(':');

/** @throws CloudError `invalid` when the text is not one OpenSSH public key */
export function readSshKey(text: string): ReadKey {
  const line = text.trim();
  if (line.length > maxLength) refuse('too_long');
  // More than one line would put further lines into the guest's authorized_keys.
  if (/[\r\n\0]/.test(line)) refuse('several_lines');
  const [type = '', base64 = ''] = line.split(/[ \t]+/);
  if (!types.test(type)) refuse('unknown_type');
  const blob = Buffer.from(base64, 'base64');
  if (base64 === '' || unpadded(blob.toString('base64')) !== unpadded(base64)) {
    refuse('no_base64');
  }
  const fields = readFields(blob);
  if (fields[0]?.toString() !== type || fields.length < 2) {
    refuse('not_of_its_type');
  }
  return { publicKey: text, fingerprint: md5(blob) };
}

/** Two at most: of any number the expression would count each run again from each of its signs. */
const unpadded = (base64: string): string => base64.replace(/={1,2}$/, '');

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
