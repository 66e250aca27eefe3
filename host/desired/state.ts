/**
 * The desired state of one host, and what a message makes of it. Pure.
 *
 * Nothing leaves the state because it is missing: a server goes when a document says that it is absent, and the host has said so
 * too (`forget`). One that a snapshot does not name, or names with an older epoch or generation, is quarantined: its last document
 * stays in force, and control is told. So a control on a lost, fresh or older database costs no guest and no disk. An older
 * document in an update comes from a read that was overtaken: it is refused, and nothing more.
 *
 * A document that could not be read is kept beside those that could. It names its server all the same: what was known of it
 * before stays what shall be, and it is reported as failed until a word comes that can be read.
 */
import type { ControlMessage, DesiredNetwork, DesiredServer, Unreadable } from '../../contract/host/index.ts';
import type { ImageId, NetworkId, ServerId } from '../../contract/ids.ts';

export interface Quarantine {
  reason: 'missing' | 'older';
  /** ISO 8601. */
  since: string;
}

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
  /** Those that control named, and those kept. */
  networks: ReadonlyMap<NetworkId, DesiredNetwork>;
  /** Those that control did not name and quarantined servers are on. */
  keptNetworks: ReadonlySet<NetworkId>;
  /** Images whose bytes this host shall keep. */
  images: ReadonlySet<ImageId>;
  /** Servers and networks whose newest document can't be read, by id. */
  unreadable: ReadonlyMap<string, Unreadable>;
}

export type StateMessage = Exclude<ControlMessage, { type: 'hello' }>;
type Message<T> = Extract<StateMessage, { type: T }>;

export interface Applied {
  state: DesiredState;
  /** Documents that were too old to be taken. */
  refused: ServerId[];
}

export function emptyState(cloudId: string): DesiredState {
  return {
    ...{ cloudId, sequence: 0, remembers: null },
    ...{ servers: new Map(), quarantined: new Map(), networks: new Map(), keptNetworks: new Set() },
    ...{ images: new Set(), unreadable: new Map() },
  };
}

interface Version {
  epoch: number;
  generation: number;
}

export const isOlder = (a: Version, b: Version): boolean =>
  a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation);

/** Of one that does not say it, nothing is newer and nothing older. */
const versionOf = ({ epoch, generation }: Unreadable): Version | undefined =>
  epoch === null || generation === null ? undefined : { epoch, generation };

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

function applySnapshot(
  state: DesiredState,
  message: Message<'snapshot'>,
  misread: readonly Unreadable[],
  now: string,
): Applied {
  const next: Next = {
    servers: new Map(),
    networks: new Map(message.networks.map((each) => [each.id, each])),
    unreadable: new Map(),
  };
  const documents = [...message.servers, ...(message.unchanged ?? []).map((id) => heldDocument(state, id))];
  const refused = takeServers(state, documents, next);
  takeUnreadable(state, misread, next);
  const quarantined = new Map<ServerId, Quarantine>();
  const named = new Map(documents.map((document) => [document.id, document]));
  for (const [id, known] of state.servers) {
    const document = named.get(id);
    const before = state.quarantined.get(id);
    if (document) {
      if (isOlder(document, known)) quarantined.set(id, { reason: 'older', since: before?.since ?? now });
    } else if (next.servers.has(id)) {
      // Its newest document, or one of whom nothing is known, can't be read: all is as it was.
      if (before) quarantined.set(id, before);
    } else {
      next.servers.set(id, known);
      // What shall be absent stays so until it is, whoever has forgotten it.
      if (known.presence === 'present') quarantined.set(id, { reason: 'missing', since: before?.since ?? now });
    }
  }
  const { incarnation, position, images } = message;
  const remembers = incarnation === undefined || position === undefined ? state.remembers : { incarnation, position };
  return {
    state: withNetworks({ ...state, ...next, quarantined, images: new Set(images), remembers }, state.networks),
    refused,
  };
}

/** @throws where control believes that this host holds what it does not: all must be told anew */
function heldDocument({ servers }: DesiredState, id: ServerId): DesiredServer {
  const held = servers.get(id);
  if (held?.stamp === undefined) throw new Error('control calls unchanged what is not held');
  return held;
}

/** For the hello: what need not be told again. Of one whose newest document can't be read, that may be readable now. */
export function heldStamps({ servers, unreadable }: DesiredState): Record<ServerId, string> {
  return Object.fromEntries(
    [...servers.values()].flatMap(({ id, stamp }) => (stamp === undefined || unreadable.has(id) ? [] : [[id, stamp]])),
  );
}

function applyUpdate(state: DesiredState, message: Message<'update'>, misread: readonly Unreadable[]): Applied {
  const next: Next = {
    servers: new Map(state.servers),
    networks: new Map([...state.networks].filter(([id]) => !state.keptNetworks.has(id))),
    unreadable: new Map(state.unreadable),
  };
  const refused = takeServers(state, message.servers, next);
  const quarantined = new Map(state.quarantined);
  for (const document of message.servers) {
    if (next.servers.get(document.id) === document) quarantined.delete(document.id);
  }
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
  return { state: withNetworks({ ...state, ...next, quarantined, images, remembers }, state.networks), refused };
}

function applyForget(state: DesiredState, message: Message<'forget'>): DesiredState {
  const servers = new Map(state.servers);
  const quarantined = new Map(state.quarantined);
  for (const id of message.servers) {
    // Only what shall be absent may be forgotten: a late word must not take a server that came back.
    if (servers.get(id)?.presence !== 'absent') continue;
    servers.delete(id);
    quarantined.delete(id);
  }
  return { ...state, servers, quarantined };
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

/** Who has come into quarantine, and who out of it. */
export function quarantineNews(before: DesiredState, after: DesiredState): { fresh: object[]; lifted: ServerId[] } {
  const fresh = [...after.quarantined].filter(([id]) => !before.quarantined.has(id));
  return {
    fresh: fresh.map(([id, { reason }]) => ({ id, reason })),
    lifted: [...before.quarantined.keys()].filter((id) => !after.quarantined.has(id)),
  };
}

interface Next {
  servers: Map<ServerId, DesiredServer>;
  networks: Map<NetworkId, DesiredNetwork>;
  unreadable: Map<string, Unreadable>;
}

/** What is older than what is known, read or not, changes nothing; its ids are answered. */
function takeServers(state: DesiredState, documents: readonly DesiredServer[], next: Next): ServerId[] {
  const refused: ServerId[] = [];
  for (const document of documents) {
    const known = state.servers.get(document.id);
    const misread = state.unreadable.get(document.id);
    const misreadVersion = misread && versionOf(misread);
    const late = known !== undefined && isOlder(document, known);
    if (late || (misreadVersion && isOlder(document, misreadVersion))) {
      refused.push(document.id);
      if (known) next.servers.set(document.id, known);
      if (misread) next.unreadable.set(document.id, misread);
    } else {
      next.servers.set(document.id, document);
      next.unreadable.delete(document.id);
    }
  }
  return refused;
}

function takeUnreadable(state: DesiredState, misread: readonly Unreadable[], next: Next): void {
  for (const document of misread) {
    const { id } = document;
    if (id === null) {
      // Whose it is can't be known: nothing that it may be about is taken for unwanted.
      for (const [known, each] of state.servers) if (!next.servers.has(known)) next.servers.set(known, each);
      for (const [known, each] of state.networks) if (!next.networks.has(known)) next.networks.set(known, each);
      for (const [known, each] of state.unreadable) {
        if (!next.servers.has(known as ServerId) && !next.networks.has(known as NetworkId)) {
          next.unreadable.set(known, each);
        }
      }
    } else if (document.kind === 'network') {
      const known = state.networks.get(id as NetworkId);
      if (known) next.networks.set(known.id, known);
      next.unreadable.set(id, document);
    } else {
      const known = state.servers.get(id as ServerId);
      const version = versionOf(document);
      if (known) next.servers.set(known.id, known);
      if (!known || !version || !isOlder(version, known)) next.unreadable.set(id, document);
    }
  }
}
