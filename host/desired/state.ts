/**
 * The desired state of one host, and what a message makes of it. Pure. A document with an older epoch, or the same
 * epoch and an older generation, comes from a control that lags: it never replaces a newer one.
 *
 * A document that could not be read is kept beside those that could. It names its server all the same: nothing of it
 * counts as unwanted, what was known of it before stays what shall be, and it is reported as failed until a word comes
 * that can be read.
 */
import type { ControlMessage, DesiredNetwork, DesiredServer, Unreadable } from '../../contract/host/index.ts';
import type { ImageId, NetworkId, ServerId } from '../../contract/ids.ts';

export interface DesiredState {
  /** The cloud that this host belongs to; learnt from the first control, for good. */
  cloudId: string;
  /** Grows with each change; for people and for tests. */
  sequence: number;
  servers: ReadonlyMap<ServerId, DesiredServer>;
  networks: ReadonlyMap<NetworkId, DesiredNetwork>;
  /** Images whose bytes this host shall keep. */
  images: ReadonlySet<ImageId>;
  /** Servers and networks whose newest document can't be read, by id. */
  unreadable: ReadonlyMap<string, Unreadable>;
}

export type StateMessage = Exclude<ControlMessage, { type: 'hello' }>;

export function emptyState(cloudId: string): DesiredState {
  return { cloudId, sequence: 0, servers: new Map(), networks: new Map(), images: new Set(), unreadable: new Map() };
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

/** The state after the message, and the ids of the documents that were refused as too old. */
export function applyMessage(
  state: DesiredState,
  message: StateMessage,
  misread: readonly Unreadable[] = [],
): { state: DesiredState; refused: ServerId[] } {
  const sequence = state.sequence + 1;
  switch (message.type) {
    case 'snapshot': {
      const unreadable = new Map<string, Unreadable>();
      const servers = new Map<ServerId, DesiredServer>();
      const next = { servers, networks: new Map(message.networks.map((each) => [each.id, each])), unreadable };
      const refused = takeServers(state, message.servers, next);
      takeUnreadable(state, misread, next);
      return { state: { ...state, sequence, ...next, images: new Set(message.images) }, refused };
    }
    case 'update': {
      const next = {
        servers: new Map(state.servers),
        networks: new Map(state.networks),
        unreadable: new Map(state.unreadable),
      };
      const refused = takeServers(state, message.servers, next);
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
      return { state: { ...state, sequence, ...next, images }, refused };
    }
    case 'forget': {
      const servers = new Map(state.servers);
      for (const id of message.servers) {
        // Only what shall be absent may be forgotten: a late word must not take a server that came back.
        if (servers.get(id)?.presence === 'absent') servers.delete(id);
      }
      return { state: { ...state, sequence, servers }, refused: [] };
    }
  }
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
