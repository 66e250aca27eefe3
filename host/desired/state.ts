/**
 * The desired state of one host, and what a message makes of it. Pure. A document with an older epoch, or the same
 * epoch and an older generation, comes from a control that lags: it never replaces a newer one.
 */
import type { ControlMessage, DesiredNetwork, DesiredServer } from '../../contract/host/index.ts';
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
}

export type StateMessage = Exclude<ControlMessage, { type: 'hello' }>;

export function emptyState(cloudId: string): DesiredState {
  return { cloudId, sequence: 0, servers: new Map(), networks: new Map(), images: new Set() };
}

export const isOlder = (a: DesiredServer, b: DesiredServer): boolean =>
  a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation);

/** The state after the message, and the ids of the documents that were refused as too old. */
export function applyMessage(state: DesiredState, message: StateMessage): { state: DesiredState; refused: ServerId[] } {
  const sequence = state.sequence + 1;
  const refused: ServerId[] = [];
  const newest = (document: DesiredServer): DesiredServer => {
    const known = state.servers.get(document.id);
    if (!known || !isOlder(document, known)) return document;
    refused.push(document.id);
    return known;
  };
  switch (message.type) {
    case 'snapshot': {
      const servers = new Map(message.servers.map((document) => [document.id, newest(document)]));
      const networks = new Map(message.networks.map((network) => [network.id, network]));
      return { state: { ...state, sequence, servers, networks, images: new Set(message.images) }, refused };
    }
    case 'update': {
      const servers = new Map(state.servers);
      for (const document of message.servers) servers.set(document.id, newest(document));
      const networks = new Map(state.networks);
      for (const network of message.networks) networks.set(network.id, network);
      for (const id of message.removedNetworks) networks.delete(id);
      const images = message.images ? new Set(message.images) : state.images;
      return { state: { ...state, sequence, servers, networks, images }, refused };
    }
    case 'forget': {
      const servers = new Map(state.servers);
      for (const id of message.servers) {
        // Only what shall be absent may be forgotten: a late word must not take a server that came back.
        if (servers.get(id)?.presence === 'absent') servers.delete(id);
      }
      return { state: { ...state, sequence, servers }, refused };
    }
  }
}
