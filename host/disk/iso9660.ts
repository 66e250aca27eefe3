/**
 * An ISO 9660 volume with Rock Ridge (Linux) and Joliet (Windows) names, from a map of files. Pure.
 *
 * A config drive is a few kilobytes, made at each start of a guest: made here it costs no process and no package. Only what
 * a config drive needs: small trees, no links, owner root, everything readable.
 *
 * @see ECMA-119; IEEE P1282 (RRIP) and P1281 (SUSP); Joliet Specification 1.0
 */

const sector = 2048;
const sectorsOf = (bytes: number) => Math.max(1, Math.ceil(bytes / sector));

interface FileNode {
  kind: 'file';
  name: string;
  id: string;
  data: Buffer;
  extent: number;
}
interface DirectoryNode {
  kind: 'directory';
  name: string;
  id: string;
  parent: DirectoryNode;
  children: (FileNode | DirectoryNode)[];
  /** By tree: 'primary' with Rock Ridge, 'joliet'. */
  place: Record<Tree, { extent: number; bytes: number }>;
}
type Tree = 'primary' | 'joliet';

/** @param files path below the root, with / between its parts → contents */
export function iso9660(files: ReadonlyMap<string, string | Buffer>, options: { label: string; date?: Date }): Buffer {
  const date = options.date ?? new Date();
  const { root, nodes } = buildTree(files);
  const directories = breadthFirst(root);
  let next = 19; // 16 system sectors, two descriptors and the terminator
  const tables = {} as Record<Tree, { bytes: number; little: number; big: number }>;
  for (const tree of ['primary', 'joliet'] as const) {
    const bytes = pathTable(directories, tree, 'LE').length;
    tables[tree] = { bytes, little: next, big: next + sectorsOf(bytes) };
    next += 2 * sectorsOf(bytes);
  }
  for (const tree of ['primary', 'joliet'] as const) {
    for (const directory of directories) {
      const bytes = directoryExtent(directory, tree, date).length;
      directory.place[tree] = { extent: next, bytes };
      next += bytes / sector;
    }
  }
  for (const file of nodes) {
    file.extent = next;
    next += sectorsOf(file.data.length);
  }
  const image = Buffer.alloc(next * sector);
  const put = (extent: number, bytes: Buffer) => bytes.copy(image, extent * sector);
  put(16, volumeDescriptor('primary', options.label, date, next, root, tables.primary));
  put(17, volumeDescriptor('joliet', options.label, date, next, root, tables.joliet));
  put(18, Buffer.from('\xffCD001\x01', 'latin1'));
  for (const tree of ['primary', 'joliet'] as const) {
    put(tables[tree].little, pathTable(directories, tree, 'LE'));
    put(tables[tree].big, pathTable(directories, tree, 'BE'));
    for (const directory of directories) put(directory.place[tree].extent, directoryExtent(directory, tree, date));
  }
  for (const file of nodes) put(file.extent, file.data);
  return image;
}

// --- the tree --------------------------------------------------------------------------------------------------------

function buildTree(files: ReadonlyMap<string, string | Buffer>): { root: DirectoryNode; nodes: FileNode[] } {
  const root = newDirectory('', '\0');
  const nodes: FileNode[] = [];
  for (const [path, contents] of files) {
    const parts = path.split('/');
    const name = parts.pop()!;
    let directory = root;
    for (const part of parts) {
      let child = directory.children.find((each) => each.name === part);
      if (!child) {
        child = newDirectory(part, uniqueId(directory, part, ''), directory);
        directory.children.push(child);
      }
      if (child.kind === 'file') throw new Error(`${path}: ${part} is a file and a directory`);
      directory = child;
    }
    if (name === '' || directory.children.some((each) => each.name === name)) throw new Error(`${path} is there twice`);
    const data = Buffer.from(contents);
    const file: FileNode = { kind: 'file', name, id: uniqueId(directory, name, ';1'), data, extent: 0 };
    directory.children.push(file);
    nodes.push(file);
  }
  return { root, nodes };
}

function newDirectory(name: string, id: string, parent?: DirectoryNode): DirectoryNode {
  const place = { primary: { extent: 0, bytes: 0 }, joliet: { extent: 0, bytes: 0 } };
  const directory = { kind: 'directory', name, id, children: [], place } as unknown as DirectoryNode;
  directory.parent = parent ?? directory;
  return directory;
}

/** A name in ISO 9660's small alphabet; readers of Rock Ridge or Joliet never see it. */
function uniqueId(directory: DirectoryNode, name: string, suffix: string): string {
  const [, stem, end] = /^(.*?)(\.[^.]{1,8})?$/s.exec(name.toUpperCase())!;
  const plain = (text: string) => text.replace(/[^A-Z0-9_]/g, '_');
  const tail = end ? `.${plain(end.slice(1))}` : suffix === '' ? '' : '.';
  for (let n = 0; ; n++) {
    const id = `${plain(stem!).slice(0, 18)}${n === 0 ? '' : n}${tail}${suffix}`;
    if (!directory.children.some((child) => child.id === id)) return id;
  }
}

function breadthFirst(root: DirectoryNode): DirectoryNode[] {
  const found = [root];
  for (let i = 0; i < found.length; i++) {
    const children = found[i]!.children.filter((child) => child.kind === 'directory');
    found.push(...children.sort((a, b) => (a.id < b.id ? -1 : 1)));
  }
  return found;
}

// --- what is written -------------------------------------------------------------------------------------------------

const both16 = (value: number) => Buffer.from([value & 255, value >> 8, value >> 8, value & 255]);
function both32(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value, 0);
  bytes.writeUInt32BE(value, 4);
  return bytes;
}

const ucs2 = (text: string) => Buffer.from(text, 'utf16le').swap16();

function identifier(node: FileNode | DirectoryNode, tree: Tree): Buffer {
  if (tree === 'primary' || node.id === '\0') return Buffer.from(node.id, 'latin1');
  return ucs2(`${node.name.slice(0, 62)}${node.kind === 'file' ? ';1' : ''}`);
}

function pathTable(directories: DirectoryNode[], tree: Tree, order: 'LE' | 'BE'): Buffer {
  const number = new Map(directories.map((directory, index) => [directory, index + 1]));
  const entries = directories.map((directory) => {
    const id = identifier(directory, tree);
    const entry = Buffer.alloc(8 + id.length + (id.length % 2));
    entry[0] = id.length;
    const parent = number.get(directory.parent)!;
    if (order === 'LE') entry.writeUInt32LE(directory.place[tree].extent, 2);
    else entry.writeUInt32BE(directory.place[tree].extent, 2);
    if (order === 'LE') entry.writeUInt16LE(parent, 6);
    else entry.writeUInt16BE(parent, 6);
    id.copy(entry, 8);
    return entry;
  });
  return Buffer.concat(entries);
}

function directoryExtent(directory: DirectoryNode, tree: Tree, date: Date): Buffer {
  const self = directory.place[tree];
  const isRoot = directory.parent === directory;
  const dot = [isRoot ? sharingProtocol : empty, posix('directory'), isRoot ? rockRidgeReference : empty];
  const records = [
    record(Buffer.from([0]), self, 'directory', date, tree === 'primary' ? dot : []),
    record(
      Buffer.from([1]),
      directory.parent.place[tree],
      'directory',
      date,
      tree === 'primary' ? [posix('directory')] : [],
    ),
  ];
  const children = directory.children.map((node) => ({ node, id: identifier(node, tree) }));
  children.sort((a, b) => Buffer.compare(a.id, b.id));
  for (const { node, id } of children) {
    const place = node.kind === 'directory' ? node.place[tree] : { extent: node.extent, bytes: node.data.length };
    const use = tree === 'primary' ? [alternateName(node.name), posix(node.kind)] : [];
    records.push(record(id, place, node.kind, date, use));
  }
  return paged(records);
}

/** Records may not cross the border of a sector. */
function paged(records: Buffer[]): Buffer {
  const parts: Buffer[] = [];
  let used = 0;
  for (const each of records) {
    const free = sector - (used % sector);
    if (each.length > free) {
      parts.push(Buffer.alloc(free));
      used += free;
    }
    parts.push(each);
    used += each.length;
  }
  parts.push(Buffer.alloc((sector - (used % sector)) % sector));
  return Buffer.concat(parts);
}

const empty = Buffer.alloc(0);
const sharingProtocol = Buffer.from([0x53, 0x50, 7, 1, 0xbe, 0xef, 0]); // SP
const rockRidgeReference = Buffer.concat([Buffer.from([0x45, 0x52, 18, 1, 10, 0, 0, 1]), Buffer.from('RRIP_1991A')]); // ER

function posix(kind: 'file' | 'directory'): Buffer {
  const mode = kind === 'directory' ? 0o040555 : 0o100444;
  return Buffer.concat([Buffer.from('PX\x24\x01', 'latin1'), both32(mode), both32(1), both32(0), both32(0)]);
}

function alternateName(name: string): Buffer {
  const bytes = Buffer.from(name);
  if (bytes.length > 128) throw new Error(`the name ${name} is too long for a config drive`);
  return Buffer.concat([Buffer.from([0x4e, 0x4d, 5 + bytes.length, 1, 0]), bytes]); // NM
}

function record(
  id: Buffer,
  place: { extent: number; bytes: number },
  kind: 'file' | 'directory',
  date: Date,
  systemUse: Buffer[],
): Buffer {
  const use = Buffer.concat(systemUse);
  const named = 33 + id.length + (id.length % 2 === 0 ? 1 : 0);
  const bytes = Buffer.alloc(named + use.length + (use.length % 2));
  bytes[0] = bytes.length;
  both32(place.extent).copy(bytes, 2);
  both32(place.bytes).copy(bytes, 10);
  shortDate(date).copy(bytes, 18);
  bytes[25] = kind === 'directory' ? 2 : 0;
  both16(1).copy(bytes, 28);
  bytes[32] = id.length;
  id.copy(bytes, 33);
  use.copy(bytes, named);
  return bytes;
}

function shortDate(date: Date): Buffer {
  const parts = [date.getUTCFullYear() - 1900, date.getUTCMonth() + 1, date.getUTCDate()];
  return Buffer.from([...parts, date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), 0]);
}

const longDate = (date: Date) => Buffer.from(`${date.toISOString().replace(/\D/g, '').slice(0, 16)}\0`, 'latin1');
const noDate = Buffer.from('0000000000000000\0', 'latin1');

function volumeDescriptor(
  tree: Tree,
  label: string,
  date: Date,
  sectors: number,
  root: DirectoryNode,
  table: { bytes: number; little: number; big: number },
): Buffer {
  const bytes = Buffer.alloc(sector);
  const text = (value: string, offset: number, length: number) => {
    const blank = tree === 'joliet' ? ucs2(' '.repeat(length >> 1)) : Buffer.alloc(length, 0x20);
    blank.copy(bytes, offset);
    (tree === 'joliet' ? ucs2(value) : Buffer.from(value, 'latin1')).copy(bytes, offset, 0, length);
  };
  bytes.write(`${tree === 'joliet' ? '\x02' : '\x01'}CD001\x01`, 0, 'latin1');
  text('LINUX', 8, 32);
  text(label, 40, 32);
  both32(sectors).copy(bytes, 80);
  if (tree === 'joliet') bytes.write('%/E', 88, 'latin1');
  for (const offset of [120, 124]) both16(1).copy(bytes, offset);
  both16(sector).copy(bytes, 128);
  both32(table.bytes).copy(bytes, 132);
  bytes.writeUInt32LE(table.little, 140);
  bytes.writeUInt32BE(table.big, 148);
  record(Buffer.from([0]), root.place[tree], 'directory', date, []).copy(bytes, 156);
  for (const [offset, length] of [
    [190, 128],
    [318, 128],
    [446, 128],
    [574, 128],
    [702, 37],
    [739, 37],
    [776, 37],
  ] as const) {
    text('', offset, length);
  }
  for (const offset of [813, 830]) longDate(date).copy(bytes, offset);
  for (const offset of [847, 864]) noDate.copy(bytes, offset);
  bytes[881] = 1;
  return bytes;
}
