/**
 * The block nodes of one machine: those that the command line made, and those that come and go by QMP, in QEMU 7.2's words. A node that
 * was added is there until it is deleted, also while another builds on it. Owns which files are open.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { type BlockNode, namedNodes, type OpenedFile, openBlockNode, parseBlockNode } from './block-nodes.ts';
import type { Release } from './claims.ts';
import type { Disk } from './command-line.ts';
import { StateRefusal } from './guest.ts';

interface AddedNode {
  node: BlockNode;
  sizeBytes: number;
  /** Lets go of its files, each by its path. */
  open: Map<string, Release>;
}

function refuse(words: string): never {
  throw new StateRefusal(words);
}

export class BlockGraph {
  readonly #added = new Map<string, AddedNode>();
  readonly #disks: readonly Disk[];
  readonly #claim: (file: OpenedFile) => Release;

  /** @param claim what keeps others from the file @throws QemuRefusal */
  constructor(disks: readonly Disk[], claim: (file: OpenedFile) => Release) {
    this.#disks = disks;
    this.#claim = claim;
  }

  /** @throws Error with QEMU's words; QemuRefusal where another has a file */
  open(node: BlockNode): void {
    const { files, virtualSizeBytes } = openBlockNode(node);
    const open = new Map<string, Release>();
    try {
      for (const file of files) if (file.locks !== false) open.set(file.path, this.#claim(file));
    } catch (error) {
      for (const release of open.values()) release();
      throw error;
    }
    this.#added.set(node.name!, { node, sizeBytes: virtualSizeBytes, open });
  }

  add(args: Readonly<Record<string, unknown>>): void {
    let node: BlockNode;
    try {
      node = parseBlockNode(args);
    } catch (error) {
      refuse((error as Error).message);
    }
    const names = new Set(this.names());
    for (const { name } of namedNodes(node))
      if (name !== undefined && names.has(name)) refuse(`Duplicate nodes with node-name='${name}'`);
    try {
      this.open(node);
    } catch (error) {
      refuse((error as Error).message);
    }
  }

  remove(name: string): void {
    const found = this.#added.get(name) ?? refuse(`Failed to find node with node-name='${name}'`);
    if (this.#disks.some((disk) => disk.node === found.node)) refuse(`Node ${name} is in use`);
    for (const { node } of this.#added.values())
      if (node.driver !== 'file' && node.backing === found.node)
        refuse(`Node '${name}' is busy: node is used as backing hd of '${node.name}'`);
    for (const release of found.open.values()) release();
    this.#added.delete(name);
  }

  /** The node for a device. */
  find(name: string): BlockNode | undefined {
    return this.#added.get(name)?.node;
  }

  /** From here on writes go to the overlays; what they cover is only read, also by others. Of all, or of none. */
  snapshot(covers: readonly { node: string; overlay: string }[]): void {
    const checked = covers.map(({ node: name, overlay }) => {
      const below = this.#added.get(name) ?? refuse(`Cannot find device='' nor node-name='${name}'`);
      const above = this.#added.get(overlay) ?? refuse(`Cannot find device='' nor node-name='${overlay}'`);
      if (above.node.driver === 'file' || above.node.backing) refuse('The overlay already has a backing image');
      if (this.#disks.some((disk) => disk.node === above.node)) refuse('The overlay is already in use');
      return { below, above };
    });
    for (const { below, above } of checked) this.#cover(below, above);
  }

  #cover(below: AddedNode, above: AddedNode): void {
    if (above.node.driver === 'file') return;
    above.node.backing = below.node;
    for (const disk of this.#disks) if (disk.node === below.node) disk.node = above.node;
    const { driver } = below.node;
    const path = driver === 'file' ? undefined : fileOf(below.node);
    if (path === undefined) return;
    below.open.get(path)?.();
    below.open.set(path, this.#claim({ path, mode: 'read' }));
  }

  resize(name: string, sizeBytes: number): void {
    const found = this.#added.get(name) ?? refuse(`Cannot find device='' nor node-name='${name}'`);
    const path = fileOf(found.node);
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(sizeBytes));
    const file = openSync(path, 'r+');
    try {
      writeSync(file, bytes, 0, 8, 24);
    } finally {
      closeSync(file);
    }
    found.sizeBytes = sizeBytes;
  }

  /** Where what is written to the node goes. @throws StateRefusal */
  fileOf(name: string): string {
    return fileOf((this.#added.get(name) ?? refuse(`Cannot find device='' nor node-name='${name}'`)).node);
  }

  sizeOf(node: BlockNode): number {
    return this.#added.get(node.name!)?.sizeBytes ?? 0;
  }

  *names(): Generator<string> {
    for (const { node } of this.#added.values())
      for (const { name } of namedNodes(node)) if (name !== undefined) yield name;
  }
}

const fileOf = (node: BlockNode): string => (node.driver === 'file' ? node.filename : fileOf(node.file));
