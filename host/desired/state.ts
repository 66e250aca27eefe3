/**
 * The desired state of one host, and what a message makes of it. Pure.
 *
 * Servers and layers are documents with epoch and generation, see documents.ts: one that a snapshot does not name, or names with an older
 * epoch or generation, is quarantined: its last document stays in force, and control is told. So a control on a lost, fresh or older database
 * costs no guest, no disk and no volume.
 *
 * A document that could not be read is kept beside those that could. It names its server (or layer) all the same: what was known of it
 * before stays what shall be, and it is reported as failed until a word comes that can be read.
 */
import type {
  ControlMessage,
  DesiredLayer,
  DesiredNetwork,
  DesiredServer,
  Unreadable,
} from '../../contract/host/index.ts';
import type { ImageId, LayerId, NetworkId, ServerId } from '../../contract/ids.ts';
import {
  forgetDocuments,
  heldDocument,
  type Quarantine,
  quarantineMissing,
  stampsOf,
  takeDocuments,
  takeMisread,
} from './documents.ts';

export interface DesiredState {
  /** The cloud that this host belongs to; learnt from the first control, for good. */
  cloudId: string;
  /** Grows with each change; for people and for tests. */
  sequence: number;
  /** What the last message said about where it was read; null before any said. */
  remembers: { incarnation: string; position: string } | null;
  /** The documents in force, those of quarantined servers among them. */
  servers: ReadonlyMap<ServerId, DesiredServer>;
  quarantined: ReadonlyMap<ServerId, Quarantine>;
  /** The same of layers. */
  layers: ReadonlyMap<LayerId, DesiredLayer>;
  quarantinedLayers: ReadonlyMap<LayerId, Quarantine>;
  /** Those that control named, and those kept. */
  networks: ReadonlyMap<NetworkId, DesiredNetwork>;
  /** Those that control did not name and quarantined servers are on. */
  keptNetworks: ReadonlySet<NetworkId>;
  /** Images whose bytes this host shall keep. */
  images: ReadonlySet<ImageId>;
  /** Servers, layers and networks whose newest document can't be read, by id. */
  unreadable: ReadonlyMap<string, Unreadable>;
}

export type StateMessage = Exclude<
  ControlMessage,
  { type: 'hello' | 'controls' | 'keys' | 'pools' | 'metered' | 'lease' }
>;
type Message<T> = Extract<StateMessage, { type: T }>;

export interface Applied {
  state: DesiredState;
  /** Servers and layers whose documents were too old to be taken. */
  refused: string[];
}

export function emptyState(cloudId: string): DesiredState {
  return {
    ...{ cloudId, sequence: 0, remembers: null },
    ...{ servers: new Map(), quarantined: new Map(), layers: new Map(), quarantinedLayers: new Map() },
    ...{ networks: new Map(), keptNetworks: new Set(), images: new Set(), unreadable: new Map() },
  };
}

/** @param now ISO 8601 */
export function applyMessage(
  before: DesiredState,
  message: StateMessage,
  misread: readonly Unreadable[] = [],
  now = new Date().toISOString(),
): Applied {
  const state = { ...before, sequence: before.sequence + 1 };
  switch (message.type) {
    case 'snapshot':
      return applySnapshot(state, message, misread, now);
    case 'update':
      return applyUpdate(state, message, misread);
    case 'forget':
      return { state: applyForget(state, message), refused: [] };
  }
}

interface Next {
  servers: Map<ServerId, DesiredServer>;
  layers: Map<LayerId, DesiredLayer>;
  networks: Map<NetworkId, DesiredNetwork>;
  unreadable: Map<string, Unreadable>;
}

const serversOf = ({ servers, unreadable }: Pick<DesiredState, 'servers' | 'unreadable'>) => ({
  ...{ documents: servers, unreadable },
});
const layersOf = ({ layers, unreadable }: Pick<DesiredState, 'layers' | 'unreadable'>) => ({
  ...{ documents: layers, unreadable },
});
const nextServers = ({ servers: documents, unreadable }: Next) => ({ documents, unreadable });
const nextLayers = ({ layers: documents, unreadable }: Next) => ({ documents, unreadable });

function applySnapshot(
  state: DesiredState,
  message: Message<'snapshot'>,
  misread: readonly Unreadable[],
  now: string,
): Applied {
  const next: Next = {
    servers: new Map(),
    // An older control knows of none: it says nothing about them.
    layers: new Map(message.layers ? [] : state.layers),
    networks: new Map(message.networks.map((each) => [each.id, each])),
    unreadable: new Map(),
  };
  const servers = [...message.servers, ...(message.unchanged ?? []).map((id) => heldDocument(state.servers, id))];
  const unchanged = (message.unchangedLayers ?? []).map((id) => heldDocument(state.layers, id));
  const layers = message.layers && [...message.layers, ...unchanged];
  const refused = [
    ...takeDocuments(serversOf(state), servers, nextServers(next)),
    ...takeDocuments(layersOf(state), layers ?? [], nextLayers(next)),
  ];
  takeUnreadable(state, misread, next);
  const { quarantined: before, quarantinedLayers: layersBefore } = state;
  const quarantined = quarantineMissing({ documents: state.servers, quarantined: before }, servers, next.servers, now);
  const known = { documents: state.layers, quarantined: layersBefore };
  const quarantinedLayers = layers ? quarantineMissing(known, layers, next.layers, now) : layersBefore;
  const { incarnation, position, images } = message;
  const remembers = incarnation === undefined || position === undefined ? state.remembers : { incarnation, position };
  const after = { ...state, ...next, quarantined, quarantinedLayers, images: new Set(images), remembers };
  return { state: withNetworks(after, state.networks), refused };
}

/** For the hello: what need not be told again. */
export const heldStamps = ({ servers, layers, unreadable }: DesiredState) => ({
  servers: stampsOf(servers, unreadable),
  layers: stampsOf(layers, unreadable),
});

function applyUpdate(state: DesiredState, message: Message<'update'>, misread: readonly Unreadable[]): Applied {
  const { layers = [] } = message;
  const next: Next = {
    servers: new Map(state.servers),
    layers: new Map(state.layers),
    networks: new Map([...state.networks].filter(([id]) => !state.keptNetworks.has(id))),
    unreadable: new Map(state.unreadable),
  };
  const refused = [
    ...takeDocuments(serversOf(state), message.servers, nextServers(next)),
    ...takeDocuments(layersOf(state), layers, nextLayers(next)),
  ];
  const quarantined = new Map(state.quarantined);
  for (const document of message.servers) {
    if (next.servers.get(document.id) === document) quarantined.delete(document.id);
  }
  const quarantinedLayers = new Map(state.quarantinedLayers);
  for (const document of layers) if (next.layers.get(document.id) === document) quarantinedLayers.delete(document.id);
  for (const network of message.networks) {
    next.networks.set(network.id, network);
    next.unreadable.delete(network.id);
  }
  for (const id of message.removedNetworks) {
    next.networks.delete(id);
    next.unreadable.delete(id);
  }
  takeUnreadable(state, misread, next);
  const images = message.images ? new Set(message.images) : state.images;
  const { position } = message;
  const remembers = state.remembers && position !== undefined ? { ...state.remembers, position } : state.remembers;
  const after = { ...state, ...next, quarantined, quarantinedLayers, images, remembers };
  return { state: withNetworks(after, state.networks), refused };
}

function applyForget(state: DesiredState, message: Message<'forget'>): DesiredState {
  const servers = forgetDocuments({ documents: state.servers, quarantined: state.quarantined }, message.servers);
  const held = { documents: state.layers, quarantined: state.quarantinedLayers };
  const layers = message.layers ? forgetDocuments(held, message.layers) : held;
  return {
    ...{ ...state, servers: servers.documents, quarantined: servers.quarantined },
    ...{ layers: layers.documents, quarantinedLayers: layers.quarantined },
  };
}

/** The networks that control names, and of those known before the ones that quarantined servers are on. */
function withNetworks(state: DesiredState, before: DesiredState['networks']): DesiredState {
  const networks = new Map(state.networks);
  const keptNetworks = new Set<NetworkId>();
  for (const id of state.quarantined.keys()) {
    for (const { networkId } of state.servers.get(id)?.ports ?? []) {
      const known = before.get(networkId);
      if (!known || networks.has(networkId)) continue;
      networks.set(networkId, known);
      keptNetworks.add(networkId);
    }
  }
  return { ...state, networks, keptNetworks };
}

function takeUnreadable(state: DesiredState, misread: readonly Unreadable[], next: Next): void {
  for (const document of misread) {
    const { id } = document;
    if (id === null) {
      // Whose it is can't be known: nothing that it may be about is taken for unwanted.
      keepKnown(state.servers, next.servers);
      keepKnown(state.layers, next.layers);
      keepKnown(state.networks, next.networks);
      const { servers, layers, networks } = next as { [K in 'servers' | 'layers' | 'networks']: Map<string, unknown> };
      for (const [known, each] of state.unreadable) {
        if (![servers, layers, networks].some((kind) => kind.has(known))) next.unreadable.set(known, each);
      }
    } else if (document.kind === 'network') {
      const known = state.networks.get(id as NetworkId);
      if (known) next.networks.set(known.id, known);
      next.unreadable.set(id, document);
    } else if (document.kind === 'layer') takeMisread(state.layers, document, nextLayers(next));
    else takeMisread(state.servers, document, nextServers(next));
  }
}

function keepKnown<Id, D>(before: ReadonlyMap<Id, D>, next: Map<Id, D>): void {
  for (const [id, each] of before) if (!next.has(id)) next.set(id, each);
}
