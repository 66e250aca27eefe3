/**
 * A private key with its certificate as one PKCS #12 file (RFC 7292) with an empty password, which is how Nova hands them out: what
 * people import into Windows and browsers. Writes only; knows no database.
 */
import { createHash, createHmac, type KeyObject, randomBytes } from 'node:crypto';

const iterations = 2048;

/** @param certificate DER */
export function pkcs12(privateKey: KeyObject, certificate: Buffer): Buffer {
  // PBES2 with the empty password: no secret, but readers expect a key in a bag of this kind.
  const shrouded = privateKey.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: '' });
  // Says that the two belong together.
  const id = createHash('sha1').update(certificate).digest();
  const certBag = sequence(oid.x509Certificate, explicit(octets(certificate)));
  const safes = [bag(oid.certBag, certBag, id), bag(oid.shroudedKeyBag, shrouded, id)];
  const content = sequence(...safes.map((safe) => data(sequence(safe))));
  const salt = randomBytes(16);
  const mac = createHmac('sha256', macKey(salt)).update(content).digest();
  const digest = sequence(sequence(oid.sha256, tlv(0x05)), octets(mac));
  return sequence(integer(3), data(content), sequence(digest, octets(salt), integer(iterations)));
}

/** RFC 7292, appendix B.2, for id 3 and the empty password: one block of SHA-256 is all that is needed. */
function macKey(salt: Buffer): Buffer {
  const block = 64;
  const salted = Buffer.alloc(block, salt);
  // The password is a BMPString with its end: two zeros, over and over.
  const password = Buffer.alloc(block);
  let key = createHash('sha256').update(Buffer.alloc(block, 3)).update(salted).update(password).digest();
  for (let round = 1; round < iterations; round++) key = createHash('sha256').update(key).digest();
  return key;
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = Buffer.from(length.toString(16).padStart(length > 0xffff ? 6 : length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length]), bytes, content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => tlv(0x30, ...parts);
const octets = (content: Buffer): Buffer => tlv(0x04, content);
const explicit = (content: Buffer): Buffer => tlv(0xa0, content);
/** Of two bytes at most, the first below 0x80. */
const integer = (value: number): Buffer => tlv(0x02, Buffer.from(value > 0x7f ? [value >> 8, value & 0xff] : [value]));

/** Encoded. */
const oid = {
  data: tlv(0x06, Buffer.from('2a864886f70d010701', 'hex')),
  localKeyId: tlv(0x06, Buffer.from('2a864886f70d010915', 'hex')),
  x509Certificate: tlv(0x06, Buffer.from('2a864886f70d01091601', 'hex')),
  shroudedKeyBag: tlv(0x06, Buffer.from('2a864886f70d010c0a0102', 'hex')),
  certBag: tlv(0x06, Buffer.from('2a864886f70d010c0a0103', 'hex')),
  sha256: tlv(0x06, Buffer.from('608648016503040201', 'hex')),
};

const data = (content: Buffer): Buffer => sequence(oid.data, explicit(octets(content)));

const bag = (kind: Buffer, value: Buffer, id: Buffer): Buffer =>
  sequence(kind, explicit(value), tlv(0x31, sequence(oid.localKeyId, tlv(0x31, octets(id)))));
