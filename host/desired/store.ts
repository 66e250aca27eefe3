/**
 * The desired state on disk, so that a host whose control is away acts on the last word that it heard. Owns one file,
 * `desired.json`: a line with a checksum, then the state. Written beside and renamed: after a crash on any line it is
 * the old state or the new one. A file that is damaged is put aside and counts as none: then nothing is removed and
 * nothing is started until control has spoken; guests that run go on. A document that this version can't read (another
 * version wrote it) is kept as it is and held apart, see state.ts; the others count.
 */
import { hash } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { readEach, readLayer, readNetwork, readServer, type Unreadable } from '../../contract/host/index.ts';
import type { ImageId, LayerId, NetworkId, ServerId } from '../../contract/ids.ts';
import { readIfThere, writeWhole } from '../files.ts';
import type { Quarantine } from './documents.ts';
import type { DesiredState } from './state.ts';

const formatVersion = 1;

export class DesiredStore {
  readonly #path: string;
  readonly #durable: boolean;

  constructor(options: { dataDirectory: string; durable: boolean }) {
    this.#path = join(options.dataDirectory, 'desired.json');
    this.#durable = options.durable;
  }

  /** The saved state; `damaged` says why there is none although there was a file. */
  async load(): Promise<{ state: DesiredState | undefined; damaged?: string }> {
    const bytes = await readIfThere(this.#path);
    if (!bytes) return { state: undefined };
    try {
      return { state: decodeState(bytes.toString('utf8')) };
    } catch (error) {
      await rename(this.#path, `${this.#path}.damaged`);
      return { state: undefined, damaged: (error as Error).message };
    }
  }

  async save(state: DesiredState): Promise<void> {
    await writeWhole(this.#path, encodeState(state), { durable: this.#durable });
  }
}

export function encodeState(state: DesiredState): string {
  const body = JSON.stringify({
    version: formatVersion,
    cloudId: state.cloudId,
    sequence: state.sequence,
    servers: [...state.servers.values()],
    layers: [...state.layers.values()],
    networks: [...state.networks.values()],
    images: [...state.images],
    unreadable: [...state.unreadable.values()].map(({ kind, document }) => ({ kind, document })),
    quarantined: [...state.quarantined],
    quarantinedLayers: [...state.quarantinedLayers],
    keptNetworks: [...state.keptNetworks],
    remembers: state.remembers,
  });
  return `${hash('sha256', body)}\n${body}\n`;
}

/** @throws where anything is not as it was written */
export function decodeState(text: string): DesiredState {
  const [checksum, body, rest] = text.split('\n');
  if (body === undefined || rest === undefined) throw new Error('the saved state is cut off');
  if (hash('sha256', body) !== checksum) throw new Error('the saved state does not match its checksum');
  const saved = JSON.parse(body) as SavedState;
  if (saved.version !== formatVersion) throw new Error(`the saved state has format ${saved.version}`);
  const misread: Unreadable[] = [];
  const servers = readEach('server', readServer, saved.servers, misread);
  const layers = readEach('layer', readLayer, saved.layers ?? [], misread);
  const networks = readEach('network', readNetwork, saved.networks, misread);
  const state = {
    cloudId: saved.cloudId,
    sequence: saved.sequence,
    servers: new Map(servers.map((server) => [server.id, server])),
    layers: new Map(layers.map((layer) => [layer.id, layer])),
    networks: new Map(networks.map((network) => [network.id, network])),
    images: new Set(saved.images as ImageId[]),
    unreadable: new Map<string, Unreadable>(),
    quarantined: new Map(saved.quarantined ?? []),
    quarantinedLayers: new Map(saved.quarantinedLayers ?? []),
    keptNetworks: new Set(saved.keptNetworks ?? []),
    remembers: saved.remembers ?? null,
  };
  // What an earlier version could not read this one may; it is newer than what was kept of the same server.
  const apart = (saved.unreadable ?? []) as Pick<Unreadable, 'kind' | 'document'>[];
  const documents = (kind: Unreadable['kind']) => apart.flatMap((each) => (each.kind === kind ? [each.document] : []));
  for (const server of readEach('server', readServer, documents('server'), misread)) {
    state.servers.set(server.id, server);
  }
  for (const layer of readEach('layer', readLayer, documents('layer'), misread)) state.layers.set(layer.id, layer);
  for (const network of readEach('network', readNetwork, documents('network'), misread)) {
    state.networks.set(network.id, network);
  }
  for (const each of misread) if (each.id !== null) state.unreadable.set(each.id, each);
  return state;
}

interface SavedState {
  version: number;
  cloudId: string;
  sequence: number;
  servers: unknown[];
  networks: unknown[];
  images: unknown[];
  unreadable?: unknown[];
  /** Absent in a state that was saved before there were incarnations. */
  quarantined?: [ServerId, Quarantine][];
  /** Absent in a state of before there were volumes. */
  layers?: unknown[];
  quarantinedLayers?: [LayerId, Quarantine][];
  keptNetworks?: NetworkId[];
  remembers?: DesiredState['remembers'];
}
