/**
 * The header of a qcow2 file: read with suspicion, and written for overlays. Pure.
 *
 * Reading: an uploaded image is untrusted. Whatever makes QEMU open another file (backing file, external data file), needs
 * a key, is unknown to us, or points outside the file, is refused before any tool sees it.
 * Writing: an empty overlay is four small pieces at fixed places. Made here it costs a millisecond; `qemu-img create`
 * costs forty. `qemu-img check` agrees (test/live).
 *
 * @see https://github.com/qemu/qemu/blob/v7.2.0/docs/interop/qcow2.txt
 */

export class ImageRefused extends Error {
  override readonly name = 'ImageRefused';
}

export const qcow2Magic = Buffer.from([0x51, 0x46, 0x49, 0xfb]);
/** Header, extensions and backing file name lie within the first cluster, which has at most 2 MiB. */
export const qcow2HeadBytes = 2 * 1024 * 1024;

const extension = { end: 0, backingFormat: 0xe2792aca, dataFile: 0x44415441, encryption: 0x0537be77 } as const;
const incompatible = { dirty: 1n, corrupt: 2n, dataFile: 4n, compressionType: 8n, extendedL2: 16n } as const;
/** QEMU's own limit of the L1 table. */
const maxL1Bytes = 32 * 1024 * 1024;

export interface Qcow2Facts {
  version: 2 | 3;
  virtualSizeBytes: number;
  clusterBytes: number;
  /** Its content is encrypted as LUKS does. */
  encrypted: boolean;
}

/**
 * @param head the file's beginning, at least its first cluster if the file is that long
 * @param options.mayBeEncrypted one that a host made; of what people bring nobody has a key
 * @throws ImageRefused saying what is wrong, safe for the caller
 */
export function inspectQcow2(
  head: Buffer,
  fileBytes: number,
  { mayBeEncrypted }: { mayBeEncrypted: boolean } = { mayBeEncrypted: false },
): Qcow2Facts {
  if (head.length < 72 || !head.subarray(0, 4).equals(qcow2Magic)) throw new ImageRefused('the file is not qcow2');
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw new ImageRefused(`qcow version ${version} is not supported, only 2 and 3`);
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw new ImageRefused('the qcow2 header has an invalid cluster size');
  const clusterBytes = 2 ** clusterBits;
  if (head.readBigUInt64BE(8) !== 0n || head.readUInt32BE(16) !== 0) {
    throw new ImageRefused('the image has a backing file; flatten it with qemu-img convert');
  }
  const method = head.readUInt32BE(32);
  const encrypted = mayBeEncrypted && version === 3 && method === luksMethod && luksPlaceOf(head) !== undefined;
  if (method !== 0 && !encrypted) throw new ImageRefused('the image is encrypted');
  if (head.readUInt32BE(60) !== 0) {
    throw new ImageRefused('the image has internal snapshots; drop them with qemu-img convert');
  }
  let extendedL2 = false;
  let headerBytes = 72;
  if (version === 3) ({ extendedL2, headerBytes } = inspectVersion3(head));
  inspectExtensions(head.subarray(0, clusterBytes), headerBytes, encrypted);
  const virtualSizeBytes = toNumber(head.readBigUInt64BE(24), 'virtual size');
  inspectTables(head, { fileBytes, clusterBytes, virtualSizeBytes, extendedL2 });
  return { version, virtualSizeBytes, clusterBytes, encrypted };
}

function inspectVersion3(head: Buffer): { extendedL2: boolean; headerBytes: number } {
  if (head.length < 104) throw new ImageRefused('the qcow2 header is cut off');
  const features = head.readBigUInt64BE(72);
  if (features & incompatible.dataFile) throw new ImageRefused('the image keeps its data in an external file');
  if (features & incompatible.corrupt) throw new ImageRefused('the image is marked as corrupt');
  if (features & incompatible.dirty)
    throw new ImageRefused('the image was not closed; mend it with qemu-img check -r all');
  const known = incompatible.compressionType | incompatible.extendedL2;
  if (features & ~known) throw new ImageRefused('the image needs qcow2 features that are not known');
  if (head.readUInt32BE(96) > 6) throw new ImageRefused('the qcow2 header has an invalid refcount width');
  const headerBytes = head.readUInt32BE(100);
  if (headerBytes < 104 || headerBytes % 8 !== 0 || headerBytes > 4096) {
    throw new ImageRefused('the qcow2 header has an invalid length');
  }
  return { extendedL2: (features & incompatible.extendedL2) !== 0n, headerBytes };
}

function inspectExtensions(cluster: Buffer, start: number, encrypted: boolean): void {
  for (let at = start; at + 8 <= cluster.length; ) {
    const type = cluster.readUInt32BE(at);
    const length = cluster.readUInt32BE(at + 4);
    if (type === extension.end) return;
    if (type === extension.dataFile) throw new ImageRefused('the image names an external data file');
    if (type === extension.encryption && !encrypted) throw new ImageRefused('the image is encrypted');
    if (length > cluster.length - at - 8) throw new ImageRefused('a qcow2 header extension is longer than its cluster');
    at += 8 + Math.ceil(length / 8) * 8;
  }
}

interface TableFacts {
  fileBytes: number;
  clusterBytes: number;
  virtualSizeBytes: number;
  extendedL2: boolean;
}

/** The tables must lie in the file and be large enough for the size that the header claims. */
function inspectTables(head: Buffer, { fileBytes, clusterBytes, virtualSizeBytes, extendedL2 }: TableFacts): void {
  const l1Entries = head.readUInt32BE(36);
  const l1Offset = toNumber(head.readBigUInt64BE(40), 'L1 table');
  const needed = Math.ceil(virtualSizeBytes / ((clusterBytes / (extendedL2 ? 16 : 8)) * clusterBytes));
  if (l1Entries < needed) throw new ImageRefused('the image claims a larger virtual size than its tables describe');
  if (l1Entries * 8 > maxL1Bytes) throw new ImageRefused('the L1 table is too large');
  if (l1Entries > 0) inside('L1 table', l1Offset, l1Entries * 8, { fileBytes, clusterBytes });
  const refcountOffset = toNumber(head.readBigUInt64BE(48), 'refcount table');
  const refcountClusters = head.readUInt32BE(56);
  if (refcountClusters * clusterBytes > maxL1Bytes) throw new ImageRefused('the refcount table is too large');
  inside('refcount table', refcountOffset, refcountClusters * clusterBytes, { fileBytes, clusterBytes });
}

function inside(
  what: string,
  offset: number,
  bytes: number,
  file: Pick<TableFacts, 'fileBytes' | 'clusterBytes'>,
): void {
  if (offset === 0 || offset % file.clusterBytes !== 0) throw new ImageRefused(`the ${what} is at an invalid place`);
  // The last cluster of a file may be short: QEMU reads zeros behind its end.
  if (offset + bytes > Math.ceil(file.fileBytes / file.clusterBytes) * file.clusterBytes) {
    throw new ImageRefused(`the ${what} lies outside the file`);
  }
}

function toNumber(value: bigint, what: string): number {
  if (value > 0x1f_ffff_ffff_ffffn) throw new ImageRefused(`the ${what} is beyond all bounds`);
  return Number(value);
}

/** The name of the file below, as the header has it; '' for none, undefined where the header is wrong. @param head from the file's beginning */
export function backingOf(head: Buffer): string | undefined {
  const offset = Number(head.readBigUInt64BE(8));
  const length = head.readUInt32BE(16);
  if (offset === 0 && length === 0) return '';
  if (offset < 72 || length > 1023 || offset + length > head.length) return undefined;
  return head.toString('utf8', offset, offset + length);
}

export interface OverlayOptions {
  sizeBytes: number;
  /** Undefined: what was not written reads as zeros. */
  backing: { path: string; format: 'raw' | 'qcow2' } | undefined;
  /** The header of its encryption. Absent: it is in the clear. */
  luks?: { bytes: number; pieces: { offset: number; bytes: Buffer }[] } | undefined;
}

/** Of qcow2: the content is encrypted as LUKS does. */
export const luksMethod = 2;

/** Where the header of its encryption lies; undefined where it names none. @param head from the file's beginning */
export function luksPlaceOf(head: Buffer): number | undefined {
  for (let at = head.readUInt32BE(100); at + 24 <= head.length; ) {
    const [type, length] = [head.readUInt32BE(at), head.readUInt32BE(at + 4)];
    if (type === extension.end) return undefined;
    if (type === extension.encryption) {
      const offset = head.readBigUInt64BE(at + 8);
      return length === 16 && offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : undefined;
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}

/** The pieces of an empty overlay, and how long the file is; everything between them is a hole. */
export function qcow2Overlay({ sizeBytes, backing, luks }: OverlayOptions): {
  fileBytes: number;
  pieces: { offset: number; bytes: Buffer }[];
} {
  const cluster = 65_536;
  const l1Entries = Math.ceil(sizeBytes / ((cluster / 8) * cluster));
  const l1Clusters = Math.ceil((l1Entries * 8) / cluster);
  const luksAt = (3 + l1Clusters) * cluster;
  const clusters = 3 + l1Clusters + Math.ceil((luks?.bytes ?? 0) / cluster);
  const path = Buffer.from(backing?.path ?? '');
  if (path.length > 1023) throw new Error('the path of the backing file is too long');
  const format = Buffer.from(backing?.format ?? '');
  const header = Buffer.alloc(104 + 16 + 24 + 8 + path.length);
  let at = 104;
  qcow2Magic.copy(header);
  header.writeUInt32BE(3, 4);
  if (backing) {
    const nameAt = header.length - path.length;
    header.writeBigUInt64BE(BigInt(nameAt), 8);
    header.writeUInt32BE(path.length, 16);
    header.writeUInt32BE(extension.backingFormat, at);
    header.writeUInt32BE(format.length, at + 4);
    format.copy(header, at + 8);
    path.copy(header, nameAt);
    at += 16;
  }
  if (luks) {
    header.writeUInt32BE(luksMethod, 32);
    header.writeUInt32BE(extension.encryption, at);
    header.writeUInt32BE(16, at + 4);
    header.writeBigUInt64BE(BigInt(luksAt), at + 8);
    header.writeBigUInt64BE(BigInt(luks.bytes), at + 16);
  }
  header.writeUInt32BE(16, 20);
  header.writeBigUInt64BE(BigInt(sizeBytes), 24);
  header.writeUInt32BE(l1Entries, 36);
  header.writeBigUInt64BE(BigInt(3 * cluster), 40);
  header.writeBigUInt64BE(BigInt(cluster), 48);
  header.writeUInt32BE(1, 56);
  header.writeUInt32BE(4, 96); // 16 bits for a refcount
  header.writeUInt32BE(104, 100);
  const refcountTable = Buffer.alloc(8);
  refcountTable.writeBigUInt64BE(BigInt(2 * cluster));
  const refcounts = Buffer.alloc(2 * clusters);
  for (let i = 0; i < clusters; i++) refcounts.writeUInt16BE(1, 2 * i);
  return {
    fileBytes: clusters * cluster,
    pieces: [
      { offset: 0, bytes: header },
      { offset: cluster, bytes: refcountTable },
      { offset: 2 * cluster, bytes: refcounts },
      ...(luks?.pieces.map(({ offset, bytes }) => ({ offset: luksAt + offset, bytes })) ?? []),
    ],
  };
}
