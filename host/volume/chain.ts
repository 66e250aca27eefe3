/**
 * A layer with all that it builds on, as was noted of each (ledger.ts; of two, its file says which), and the chain as QEMU is told it: spelled
 * out to the lowest file, so that no program follows a name in a file. Pure but for `readChain`, which looks at files and changes nothing.
 */
import { open } from 'node:fs/promises';
import type { DesiredLayer } from '../../contract/host/index.ts';
import type { ImageId, LayerId, VolumeId, VolumeKeyId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import { isNoEntry } from '../files.ts';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import type { BaseFile } from '../image/store.ts';
import { type LayerHeader, readHeader } from './header.ts';
import { type BuildsOn, baseNode, keyObject, layerFileNode, layerNode, throttleGroup, throttleNode } from './names.ts';
import { writeChecks } from './nodes.ts';

/** How an image of a cluster is opened. */
export interface RemoteNode {
  /** Gives this user what its QEMU needs; before each opening. */
  grant(user: GuestUser | undefined): Promise<void>;
  /** What opens it, to the lowest. */
  node(user: GuestUser | undefined): BlockNode;
}

export interface ChainLink {
  layerId: LayerId;
  path: string;
  /** As a guest sees it; a lower layer may be smaller, and is zeros beyond its end. */
  sizeBytes: number;
  /** It is an image of a cluster: this opens it, and all below it; `path` is its name for people. */
  remote?: RemoteNode;
  /** Layers below it that are snapshots of the same image, the nearest first. */
  within?: readonly LayerId[];
  /** It is of one volume with a cache alone, as its document says. */
  cache?: NonNullable<DesiredLayer['cache']>;
  /** Of a base, what a cache above it may ask of its pool, per second. */
  iops?: number;
  /** Absent: it is in the clear. */
  key?: ChainKey;
}

export interface LayerChain {
  top: ChainLink;
  /** What the top builds on, the nearest first. */
  lower: readonly ChainLink[];
  /** The image that the lowest of them builds on. */
  base: (BaseFile & { imageId: ImageId; key?: ChainKey }) | null;
}

export interface ChainKey {
  id: VolumeKeyId;
  /** Undefined: this process has it not (yet). */
  passphrase: Secret | undefined;
}

export interface ChainSources {
  /** Undefined: this host knows no such layer. */
  layerPath(id: LayerId): string | undefined;
  /** All that its file may say that it builds on. */
  basesOf(id: LayerId): readonly BuildsOn[];
  /** What it is to a cache, as its document says; undefined: nothing. */
  cacheOf?(id: LayerId): ChainLink['cache'];
  /** What a cache may ask of the layer's pool, per second; undefined: as much as it gives. */
  iopsOf?(id: LayerId): number | undefined;
  /** With which its file is encrypted; undefined: it is in the clear. */
  keyOf?(id: LayerId): ChainKey | undefined;
  /** With which the image is encrypted that the layer is made of; undefined: it is in the clear. */
  imageKeyOf?(id: LayerId): ChainKey | undefined;
  /** Why it can't be there now, whatever its files are; undefined: nothing is known to be in its way. */
  whyAway?(id: LayerId): string | undefined;
  /** Undefined: it lies in no cluster. */
  remoteLink?(id: LayerId): Promise<ChainLink> | undefined;
  /** Undefined: the image is not here, or not in a form that guests read. */
  imageBase(id: ImageId): BaseFile | undefined;
}

/** More than control lets a chain become; a chain that bites its own tail ends here too. */
const maxLayers = 1000;

/** @throws HostFault `layer_not_ready` where a file of the chain is not (yet) there */
export async function readChain(layerId: LayerId, sources: ChainSources): Promise<LayerChain> {
  const links: ChainLink[] = [];
  let next: LayerId | undefined = layerId;
  let base: LayerChain['base'] = null;
  while (next !== undefined) {
    if (links.length === maxLayers) throw new HostFault('layer_damaged', `the chain of layer ${layerId} has no end`);
    const remote = await sources.remoteLink?.(next);
    // A file can not say that it builds on it.
    if (remote && links.length > 0)
      throw new HostFault('invalid', `layer ${links.at(-1)!.layerId} is a file and builds on one in a Ceph cluster`);
    if (remote) return { top: remote, lower: [], base: null };
    const path = sources.layerPath(next);
    const key: ChainKey | undefined = sources.keyOf?.(next);
    const encrypted: boolean | undefined = sources.keyOf && key !== undefined;
    const header: LayerHeader | undefined =
      path === undefined ? undefined : await headerAt(path, sources.basesOf(next), encrypted);
    if (!header) {
      const why = sources.whyAway?.(next) ?? `layer ${next} is not on this host yet`;
      throw new HostFault('layer_not_ready', why);
    }
    const cache = sources.cacheOf?.(next);
    const iops = cache?.role === 'base' ? sources.iopsOf?.(next) : undefined;
    const more = { ...(cache && { cache }), ...(iops !== undefined && { iops }), ...(key && { key }) };
    links.push({ layerId: next, path: path!, sizeBytes: header.sizeBytes, ...more });
    const imageKey: ChainKey | undefined = sources.imageKeyOf?.(next);
    const { buildsOn }: LayerHeader = header;
    next = buildsOn?.kind === 'layer' ? buildsOn.id : undefined;
    if (buildsOn?.kind !== 'image') continue;
    const file = sources.imageBase(buildsOn.id);
    if (!file)
      throw new HostFault('image_missing', `image ${buildsOn.id}, on which a volume builds, is not on this host`);
    base = { ...file, imageId: buildsOn.id, ...(imageKey && { key: imageKey }) };
  }
  return { top: links[0]!, lower: links.slice(1), base };
}

/** Undefined where there is no such file. */
export async function headerAt(
  path: string,
  bases: readonly BuildsOn[],
  encrypted?: boolean,
): Promise<LayerHeader | undefined> {
  const file = await open(path, 'r').catch((error) => {
    if (isNoEntry(error)) return undefined;
    throw error;
  });
  try {
    return file && (await readHeader(file, bases, encrypted));
  } finally {
    await file?.close();
  }
}

/** Each of the keys that its parts are encrypted with. */
export function keysOf({ top, lower, base }: LayerChain): ChainKey[] {
  const keys = [top, ...lower, ...(base ? [base] : [])].flatMap(({ key }) => key ?? []);
  return [...new Map(keys.map((key) => [key.id, key])).values()];
}

/** The name of a secret that its QEMU has; never the secret. */
export const encryption = ({ key }: { key?: ChainKey }) =>
  key && { encrypt: { format: 'luks', 'key-secret': keyObject(key.id) } };

/** What its QEMU has to have before it can open the chain, as `object-add` takes it. @throws HostFault where one is not here */
export const secretObjects = (chain: LayerChain) =>
  keysOf(chain).map(({ id, passphrase }) => {
    if (!passphrase) throw new HostFault('layer_not_ready', 'the key of an encrypted volume is not here yet');
    return { 'qom-type': 'secret', id: keyObject(id), data: passphrase.reveal() };
  });

/** Options of `blockdev-add`. */
export type BlockNode = Record<string, unknown>;

export interface Spelling {
  /** Names the nodes, so that jobs can name them. Absent: they have none. */
  volumeId?: VolumeId;
  /** Where a program behind walls finds a file. Absent: where it is. */
  placeOf?: (path: string) => string;
}

/**
 * All that lies below the top, read-only; null where nothing does: then `backing` has to be null too. A name, where a guest's QEMU has to have its node
 * first ({@link limitOf}).
 */
export function lowerNodes(chain: LayerChain, spelling: Spelling = {}): BlockNode | string | null {
  const { lower, base } = chain;
  const limited = throttled(chain);
  const { volumeId, placeOf = (path) => path } = spelling;
  const file = (path: string) => ({ driver: 'file', filename: placeOf(path), 'read-only': true });
  const named = (name: (id: VolumeId) => string) => volumeId !== undefined && { 'node-name': name(volumeId) };
  let node: BlockNode | string | null = base && {
    driver: base.format,
    ...named(baseNode),
    'read-only': true,
    ...encryption(base),
    file: file(base.path),
    ...(base.format === 'qcow2' && { backing: null }),
  };
  for (const link of lower.toReversed()) {
    const { layerId, path } = link;
    node = {
      driver: 'qcow2',
      ...named((id) => layerNode(id, layerId)),
      'read-only': true,
      ...encryption(link),
      file: link.cache ? cacheFile(link, spelling) : file(path),
      backing: node,
    };
    if (link === limited && volumeId !== undefined && !spelling.placeOf) node = throttleNode(volumeId, link.layerId);
  }
  return node;
}

/** The base that the generations of a cache are on, where its pool limits what they may ask of it. */
function throttled({ top, lower }: LayerChain): ChainLink | undefined {
  const base = top.cache?.role === 'writes' ? lower.find(({ cache }) => cache?.role !== 'writes') : undefined;
  return base?.iops === undefined ? undefined : base;
}

/** What has to be there before a guest's QEMU opens the chain: a group of so many reads and writes a second, and a node in it. */
export interface ChainLimit {
  id: string;
  iops: number;
  node: BlockNode;
  /** The layer that is behind it. */
  base: LayerId;
}

/**
 * Null: nothing. The node is one of its own, since QEMU (7.2, bdrv_open_backing_file()) takes options of a backing file that is a filter for one of its
 * file, beside the name in the header, and refuses both.
 */
export function limitOf(chain: LayerChain, volumeId: VolumeId): ChainLimit | null {
  const base = throttled(chain);
  if (base?.iops === undefined) return null;
  const below = { ...chain, top: base, lower: chain.lower.slice(chain.lower.indexOf(base)) };
  const spelled = lowerNodes(below, { volumeId }) as BlockNode;
  // Below what is only read everything is only read, unless it says so itself: then a sink could not write.
  const { 'read-only': _inherited, ...file } = spelled;
  const id = throttleGroup(volumeId);
  const node = { driver: 'throttle', 'node-name': throttleNode(volumeId, base.layerId), 'throttle-group': id };
  return {
    id,
    iops: base.iops,
    base: base.layerId,
    node: { ...node, 'read-only': true, file: { ...file, cache: { direct: false } } },
  };
}

/**
 * What sinks is written to what is below, by QEMU itself: its file is opened as the node above it is, now to read and now to write, so nothing
 * is said of that here. Named, since a node that is told anew what it builds on has to be told its file too.
 */
const cacheFile = ({ layerId, path }: ChainLink, { volumeId, placeOf = (each) => each }: Spelling): BlockNode => ({
  driver: 'file',
  ...(volumeId !== undefined && { 'node-name': layerFileNode(volumeId, layerId) }),
  filename: placeOf(path),
});

/** The whole chain for a program of ours; a guest's QEMU has options of its own for the top. */
export function chainNodes(chain: LayerChain, spelling: Spelling & { readOnly: boolean }): BlockNode {
  // What runs behind walls reaches no cluster.
  if (chain.top.remote)
    throw new HostFault('invalid', `layer ${chain.top.layerId} is in a Ceph cluster, and no file`, { permanent: true });
  const { volumeId, placeOf = (path) => path, readOnly } = spelling;
  const { layerId, path, cache } = chain.top;
  const name = cache && volumeId !== undefined && { 'node-name': layerFileNode(volumeId, layerId) };
  return {
    driver: 'qcow2',
    ...(volumeId !== undefined && { 'node-name': layerNode(volumeId, layerId) }),
    'read-only': readOnly,
    ...(!readOnly && writeChecks),
    discard: 'unmap',
    ...encryption(chain.top),
    file: { driver: 'file', ...name, filename: placeOf(path), 'read-only': readOnly, discard: 'unmap' },
    backing: lowerNodes(chain, spelling),
  };
}
