/**
 * What `-blockdev` describes: a chain of nodes, from the disk that a guest sees down to files. Parsed strictly (an unknown
 * member is refused), then opened: the files must be there and be what they are said to be.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export type BlockNode =
  | { driver: 'file'; name: string | undefined; readOnly: boolean; filename: string; locks?: false }
  | {
      driver: 'raw' | 'qcow2';
      name: string | undefined;
      readOnly: boolean;
      file: BlockNode;
      backing: BlockNode | undefined;
    };

const common = [
  'driver',
  'node-name',
  'read-only',
  'auto-read-only',
  'discard',
  'detect-zeroes',
  'cache',
  'force-share',
];
const members: Record<BlockNode['driver'], readonly string[]> = {
  file: [...common, 'filename', 'aio', 'locking'],
  raw: [...common, 'file', 'offset', 'size'],
  qcow2: [...common, 'file', 'backing', 'lazy-refcounts', 'pass-discard-request', 'l2-cache-size', 'overlap-check'],
};
const overlapChecks: readonly unknown[] = [undefined, 'none', 'constant', 'cached', 'all'];

/** @throws Error with QEMU's words for what is wrong */
export function parseBlockNode(value: unknown, options: { root: boolean } = { root: true }): BlockNode {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('expected a block device');
  const given = value as Record<string, unknown>;
  const driver = given.driver;
  if (driver !== 'file' && driver !== 'raw' && driver !== 'qcow2') {
    throw new Error(driver === undefined ? "Parameter 'driver' is missing" : `Unknown driver '${driver}'`);
  }
  for (const key of Object.keys(given)) {
    if (!members[driver].includes(key)) throw new Error(`Parameter '${key}' is unexpected`);
  }
  const name = optional(given, 'node-name', 'string');
  if (options.root && name === undefined) throw new Error("'node-name' must be specified for the root node");
  if (given.discard !== undefined && given.discard !== 'ignore' && given.discard !== 'unmap') {
    throw new Error(`Parameter 'discard' does not accept value '${given.discard}'`);
  }
  if (!overlapChecks.includes(given['overlap-check'])) {
    throw new Error(`Parameter 'overlap-check' does not accept value '${given['overlap-check']}'`);
  }
  const readOnly = optional(given, 'read-only', 'boolean') ?? false;
  if (driver === 'file') {
    const filename = optional(given, 'filename', 'string');
    if (filename === undefined) throw new Error("Parameter 'filename' is missing");
    return { driver, name, readOnly, filename, ...(given.locking === 'off' && { locks: false as const }) };
  }
  if (given.file === undefined) throw new Error("Parameter 'file' is missing");
  // A file below a read-only node is opened for reading unless it says otherwise.
  const file = parseBlockNode(inherited(given.file, readOnly), { root: false });
  // `backing: null` says that there is none; only the chain that is spelled out here is ever followed.
  const backing = given.backing == null ? undefined : parseBlockNode(given.backing, { root: false });
  return { driver, name, readOnly, file, backing };
}

function optional(given: Record<string, unknown>, key: string, type: 'string'): string | undefined;
function optional(given: Record<string, unknown>, key: string, type: 'boolean'): boolean | undefined;
function optional(given: Record<string, unknown>, key: string, type: 'string' | 'boolean'): unknown {
  const value = given[key];
  if (value !== undefined && typeof value !== type)
    throw new Error(`Invalid parameter type for '${key}', expected: ${type}`);
  return value;
}

const inherited = (file: unknown, readOnly: boolean): unknown =>
  readOnly && typeof file === 'object' && file !== null ? { 'read-only': true, ...file } : file;

export interface OpenedFile {
  path: string;
  mode: 'read' | 'write';
  /** False: it takes no lock, and minds none. */
  locks?: false;
}

export interface OpenedNode {
  files: OpenedFile[];
  virtualSizeBytes: number;
}

/** Opens the whole chain. @throws Error with QEMU's words */
export function openBlockNode(node: BlockNode): OpenedNode {
  if (node.driver === 'file') {
    const { size } = readHead(node.filename, node.readOnly);
    const mode = node.readOnly ? 'read' : 'write';
    return {
      files: [{ path: node.filename, mode, ...(node.locks === false && { locks: false }) }],
      virtualSizeBytes: size,
    };
  }
  const { files, virtualSizeBytes } = openBlockNode(node.file);
  if (node.driver === 'raw') return { files, virtualSizeBytes };
  const { head } = readHead(files[0]!.path, true);
  if (head.length < 72 || head.readUInt32BE(0) !== qcow2Magic) throw new Error('Image is not in qcow2 format');
  const below = node.backing ? openBlockNode(node.backing).files : [];
  return { files: [...files, ...below], virtualSizeBytes: Number(head.readBigUInt64BE(24)) };
}

const qcow2Magic = 0x514649fb;

function readHead(path: string, readOnly: boolean): { head: Buffer; size: number } {
  let file: number;
  try {
    file = openSync(path, readOnly ? 'r' : 'r+');
  } catch (error) {
    throw new Error(`Could not open '${path}': ${systemReason(error)}`);
  }
  try {
    const head = Buffer.alloc(104);
    return { head: head.subarray(0, readSync(file, head, 0, head.length, 0)), size: fstatSync(file).size };
  } finally {
    closeSync(file);
  }
}

const reasons: Record<string, string> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  EMFILE: 'Too many open files',
};

export const systemReason = (error: unknown): string => {
  const { code } = error as NodeJS.ErrnoException;
  return reasons[code ?? ''] ?? code ?? String(error);
};

/** Every node of the chain with its name. */
export function* namedNodes(node: BlockNode): Generator<BlockNode> {
  yield node;
  if (node.driver === 'file') return;
  yield* namedNodes(node.file);
  if (node.backing) yield* namedNodes(node.backing);
}
