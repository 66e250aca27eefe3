/**
 * The desired state on disk, so that a host whose control is away acts on the last word that it heard. Owns two files: `desired.json`, the
 * state at some moment, written beside and renamed; `desired.log`, the messages that came since, a line each, which is what a message costs
 * however much the state holds. After a crash on any line it is the state before a message or after it: a line that is not whole at the log's
 * end was never acted on, and lines that the state has already are passed over. From time to time, and when the process ends in order, the
 * state is written anew and the log begins again.
 *
 * What is damaged is put aside and counts as none: then nothing is removed and nothing is started until control has spoken; guests that run
 * go on. A document that this version can't read (another version wrote it) is kept as it is and held apart, see state.ts; the others count.
 */
import { hash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  readControlMessage,
  readEach,
  readLayer,
  readNetwork,
  readServer,
  type Unreadable,
} from '../../contract/host/index.ts';
import type { ImageId, LayerId, NetworkId, ServerId } from '../../contract/ids.ts';
import { isNoEntry, readIfThere, writeWhole } from '../files.ts';
import type { Quarantine } from './documents.ts';
import { applyMessage, type DesiredState, emptyState, type StateMessage } from './state.ts';

const formatVersion = 1;
/** A log that is longer than this, and than the state, is folded into it. */
const shortLogBytes = 1024 * 1024;

/** A message as it is applied. */
export interface Heard {
  message: StateMessage;
  unreadable: readonly Unreadable[];
  /** ISO 8601. */
  now: string;
}

export class DesiredStore {
  readonly #path: string;
  readonly #logPath: string;
  readonly #durable: boolean;
  #log: FileHandle | undefined;
  #logBytes = 0;
  #stateBytes = 0;

  constructor(options: { dataDirectory: string; durable: boolean }) {
    this.#path = join(options.dataDirectory, 'desired.json');
    this.#logPath = join(options.dataDirectory, 'desired.log');
    this.#durable = options.durable;
  }

  /** The saved state; `damaged` says why there is none although there was a file. */
  async load(): Promise<{ state: DesiredState | undefined; damaged?: string }> {
    const [bytes, log] = [await readIfThere(this.#path), await readIfThere(this.#logPath)];
    if (!bytes && !log) return { state: undefined };
    try {
      const saved = bytes && decodeState(bytes.toString('utf8'));
      const state = log ? replayLog(saved, log.toString('utf8')) : saved;
      // What is torn at its end must not come to lie before the next line.
      if (state && log) await this.save(state);
      return { state };
    } catch (error) {
      for (const path of [this.#path, this.#logPath]) await putAside(path);
      return { state: undefined, damaged: (error as Error).message };
    }
  }

  /** The whole state, however it came about. */
  async save(state: DesiredState): Promise<void> {
    const text = encodeState(state);
    await writeWhole(this.#path, text, { durable: this.#durable });
    this.#stateBytes = text.length;
    await this.#endLog();
  }

  /** The message that made this state of the one before, which is saved. */
  async record(heard: Heard, state: DesiredState): Promise<void> {
    if (this.#logBytes > Math.max(shortLogBytes, this.#stateBytes)) {
      await this.save(state);
      return;
    }
    this.#log ??= await open(this.#logPath, 'a', 0o600);
    const line = encodeHeard(heard, state);
    // A line that could not be written whole would hide those after it.
    try {
      await this.#log.appendFile(line);
      if (this.#durable) await this.#log.datasync();
    } catch (error) {
      await this.#log.truncate(this.#logBytes).catch(() => {});
      throw error;
    }
    this.#logBytes += Buffer.byteLength(line);
  }

  /** In order: what another version of this program finds is one file. */
  async close(state: DesiredState | undefined): Promise<void> {
    if (state && this.#log) await this.save(state);
    await this.abandon();
  }

  async abandon(): Promise<void> {
    await this.#log?.close();
    this.#log = undefined;
  }

  async #endLog(): Promise<void> {
    await this.abandon();
    await rm(this.#logPath, { force: true });
    this.#logBytes = 0;
  }
}

async function putAside(path: string): Promise<void> {
  await rename(path, `${path}.damaged`).catch((error) => {
    if (!isNoEntry(error)) throw error;
  });
}

/** What could not be read is put back where it was: who replays it may know better. */
function encodeHeard({ message, unreadable, now }: Heard, { cloudId, sequence }: DesiredState): string {
  const apart = (kind: Unreadable['kind']) => unreadable.flatMap((each) => (each.kind === kind ? [each.document] : []));
  const whole =
    message.type === 'forget'
      ? message
      : {
          ...message,
          servers: [...message.servers, ...apart('server')],
          ...(message.layers && { layers: [...message.layers, ...apart('layer')] }),
          networks: [...message.networks, ...apart('network')],
        };
  const body = JSON.stringify({ version: formatVersion, cloudId, sequence, now, message: whole });
  return `${hash('sha256', body)} ${body}\n`;
}

/** @throws where anything but the end is not as it was written */
function replayLog(saved: DesiredState | undefined, text: string): DesiredState | undefined {
  let state = saved;
  const lines = text.split('\n');
  const last = lines.pop();
  for (const [index, line] of lines.entries()) {
    const body = line.slice(65);
    if (hash('sha256', body) !== line.slice(0, 64)) {
      // A power failure may have lost what was before the end of the last line.
      if (index === lines.length - 1 && last === '') break;
      throw new Error('the log of the saved state does not match its checksums');
    }
    const { version, cloudId, sequence, now, message } = JSON.parse(body) as Logged;
    if (version !== formatVersion) throw new Error(`the log of the saved state has format ${version}`);
    if (state && sequence <= state.sequence) continue;
    const read = readControlMessage(JSON.stringify(message));
    const before: DesiredState = state ?? emptyState(cloudId);
    if (sequence !== before.sequence + 1) throw new Error('a message is missing in the log of the saved state');
    state = applyMessage(before, read.message as StateMessage, read.unreadable, now).state;
  }
  return state;
}

interface Logged {
  version: number;
  cloudId: string;
  sequence: number;
  now: string;
  message: unknown;
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
