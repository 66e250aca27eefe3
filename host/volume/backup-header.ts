/**
 * The header of a backup's file: which backup it builds on, by name and by digest. The digest is in a header extension of our own, which QEMU
 * keeps and does not read. Pure.
 * @see https://github.com/qemu/qemu/blob/v7.2.0/docs/interop/qcow2.txt "Header extensions"
 */
import { backingOf, qcow2Magic } from '../image/qcow2.ts';

export interface BackupHeader {
  /** Null: it stands for itself. */
  parent: { name: string; sha256: string } | null;
}

const backingFormat = 0xe2792aca;
/** 'Both', of Bothy. */
const parentDigest = 0x426f7468;

interface Extension {
  type: number;
  data: Buffer;
}

/** Undefined where it is no header of a backup. @param head from the file's beginning */
export function readBackupHead(head: Buffer): BackupHeader | undefined {
  const extensions = isHeader(head) ? extensionsOf(head) : undefined;
  const name = extensions && backingOf(head);
  if (name === undefined) return undefined;
  if (name === '') return { parent: null };
  const digest = extensions!.find(({ type }) => type === parentDigest)?.data;
  return digest?.length === 32 ? { parent: { name, sha256: digest.toString('hex') } } : undefined;
}

/** The same header with another name, and the digest of what is so called. @throws where it is no header, or has no room */
export function backupHead(head: Buffer, parent: { name: string; sha256: string }): Buffer {
  const extensions = isHeader(head) ? extensionsOf(head) : undefined;
  if (!extensions) throw new Error('a backup was not written as qcow2');
  const others = extensions.filter(({ type }) => type !== backingFormat && type !== parentDigest);
  const all: Extension[] = [
    { type: backingFormat, data: Buffer.from('qcow2') },
    { type: parentDigest, data: Buffer.from(parent.sha256, 'hex') },
    ...others,
    { type: 0, data: Buffer.alloc(0) },
  ];
  const fixed = Buffer.from(head.subarray(0, head.readUInt32BE(100)));
  const encoded = Buffer.concat([fixed, ...all.map(encode)]);
  const name = Buffer.from(parent.name);
  encoded.writeBigUInt64BE(BigInt(encoded.length), 8);
  encoded.writeUInt32BE(name.length, 16);
  const whole = Buffer.concat([encoded, name]);
  if (whole.length > head.length) throw new Error('the header of a backup has no room for the name of its parent');
  return Buffer.concat([whole, Buffer.alloc(head.length - whole.length)]);
}

const isHeader = (head: Buffer): boolean =>
  head.length >= 104 && head.subarray(0, 4).equals(qcow2Magic) && head.readUInt32BE(4) === 3;

function extensionsOf(head: Buffer): Extension[] | undefined {
  const found: Extension[] = [];
  for (let at = head.readUInt32BE(100); at + 8 <= head.length; ) {
    const [type, length] = [head.readUInt32BE(at), head.readUInt32BE(at + 4)];
    if (type === 0) return found;
    if (length > head.length - at - 8) return undefined;
    found.push({ type, data: Buffer.from(head.subarray(at + 8, at + 8 + length)) });
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}

function encode({ type, data }: Extension): Buffer {
  const bytes = Buffer.alloc(8 + Math.ceil(data.length / 8) * 8);
  bytes.writeUInt32BE(type, 0);
  bytes.writeUInt32BE(data.length, 4);
  data.copy(bytes, 8);
  return bytes;
}
