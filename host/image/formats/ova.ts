/**
 * An appliance: a tar file with a description (OVF) and its disk. Read with suspicion, nothing is unpacked: what a guest gets is
 * the disk where it lies in the file. Pure.
 * @see DSP0243, section 5 (package format: ustar, the description first)
 */
import { ImageRefused } from '../qcow2.ts';
import type { ImageBytes } from './bytes.ts';

const block = 512;
const maxEntries = 100;
const maxDescriptionBytes = 1024 * 1024;

interface Entry {
  name: string;
  offset: number;
  sizeBytes: number;
}

export const tarMagicAt = 257;
export const tarMagic = 'ustar';

/** Where the appliance's one disk lies. @throws ImageRefused */
export async function diskOfOva(bytes: ImageBytes): Promise<{ offset: number; sizeBytes: number }> {
  const entries = await entriesOf(bytes);
  const [description, ...others] = entries.filter(({ name }) => name.toLowerCase().endsWith('.ovf'));
  if (!description || others.length > 0) throw new ImageRefused('the appliance does not have one description (.ovf)');
  if (description.sizeBytes > maxDescriptionBytes)
    throw new ImageRefused('the description of the appliance is too long');
  const text = (await bytes.read(description.offset, description.sizeBytes)).toString('utf8');
  const name = diskName(text);
  const disks = entries.filter((entry) => entry.name === name);
  if (disks.length !== 1)
    throw new ImageRefused(`the appliance has ${disks.length} files called ${name.slice(0, 100)}`);
  return disks[0]!;
}

async function entriesOf(bytes: ImageBytes): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let at = 0; at + block <= bytes.sizeBytes; ) {
    const header = await bytes.read(at, block);
    if (header.every((byte) => byte === 0)) break;
    const entry = entryOf(header, at + block);
    if (entry.offset + entry.sizeBytes > bytes.sizeBytes) throw new ImageRefused('the appliance is cut off');
    if (entries.push(entry) > maxEntries) throw new ImageRefused('the appliance has too many files');
    at = entry.offset + Math.ceil(entry.sizeBytes / block) * block;
  }
  return entries;
}

function entryOf(header: Buffer, offset: number): Entry {
  const text = (start: number, length: number) =>
    header
      .subarray(start, start + length)
      .toString('utf8')
      .split('\0', 1)[0]!;
  if (header.subarray(tarMagicAt, tarMagicAt + 5).toString('latin1') !== tarMagic) {
    throw new ImageRefused('the appliance is no tar file of the kind ustar');
  }
  const type = header.subarray(156, 157).toString('latin1');
  // Links, devices, sparse files and long names: an appliance has none of them.
  if (type !== '0' && type !== '\0') throw new ImageRefused('the appliance has something else than plain files in it');
  const sizeBytes = sizeOf(header.subarray(124, 136));
  const prefix = text(345, 155);
  return { name: prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`, offset, sizeBytes };
}

/** Octal; or, where the first bit is set, a plain number: a disk may be larger than 8 GiB. */
function sizeOf(field: Buffer): number {
  if (field[0]! & 0x80) {
    const size = field.readBigUInt64BE(4);
    if (field[0] !== 0x80 || field.readUIntBE(1, 3) !== 0 || size > 2n ** 53n)
      throw new ImageRefused('a file in the appliance has an invalid size');
    return Number(size);
  }
  const text = field.toString('latin1').replaceAll('\0', ' ').trim();
  if (!/^[0-7]{1,11}$/.test(text)) throw new ImageRefused('a file in the appliance has an invalid size');
  return Number.parseInt(text, 8);
}

/**
 * The file of the one disk that the description names. No XML reader: entities, includes and namespaces are what a hostile one
 * is made of, and two kinds of elements with plain attributes are all that we look for.
 */
function diskName(text: string): string {
  const disks = elements(text, 'Disk').filter((attributes) => attributes.has('fileref'));
  if (disks.length !== 1) throw new ImageRefused(`the appliance has ${disks.length} disks, and an image is one`);
  const id = disks[0]!.get('fileref');
  const file = elements(text, 'File').find((attributes) => attributes.get('id') === id);
  const name = file?.get('href');
  if (file === undefined || name === undefined)
    throw new ImageRefused('the description of the appliance names no file for its disk');
  if (file.has('compression') && file.get('compression') !== 'identity') {
    throw new ImageRefused('the disk of the appliance is compressed; unpack it first');
  }
  if (/[&<\0]/.test(name)) throw new ImageRefused('the description of the appliance names its disk in an unknown way');
  return name;
}

/** Attributes of all elements of a name, whatever their prefixes; names in lower case. */
const elements = (text: string, name: string): Map<string, string>[] =>
  [...text.matchAll(new RegExp(`<(?:\\w+:)?${name}\\s([^<>]{0,4000})>`, 'g'))].map(([, inside]) =>
    attributesOf(inside!),
  );

/**
 * name="value", in one pass: every second part between quotes is a value. A search for the whole form would begin anew at every
 * letter of a long word, and everything else on the host waits meanwhile.
 */
function attributesOf(inside: string): Map<string, string> {
  const parts = inside.split('"');
  const found = new Map<string, string>();
  for (let at = 0; at + 2 < parts.length; at += 2) {
    const before = parts[at]!.trimEnd();
    const name = before.slice(0, -1).trimEnd().split(/[\s:]/).at(-1)!;
    if (before.endsWith('=') && /^\w+$/.test(name)) found.set(name.toLowerCase(), parts[at + 1]!);
  }
  return found;
}
