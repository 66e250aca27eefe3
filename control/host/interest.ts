/**
 * Which streams must look again after a change. Each resource says in its `resource.ts` what of the hosts' documents it is in
 * (`wakes.hosts`); here that becomes marks on sessions. Takes from a change only whom it may concern; facts are read from
 * the tables. Pure: marks the sessions it is given.
 */
import type { ImageId, LayerId, NetworkId, PortId, ServerId } from '../../contract/ids.ts';
import type { Change } from '../kit/change-log/changes.ts';
import type { ResourceDescriptor } from '../kit/resource.ts';
import type { HostSession } from './session.ts';
import type { Told } from './told.ts';

declare module '../kit/resource.ts' {
  interface Wakes {
    /** Says which documents the change may be in. */
    hosts?(look: HostInterest, change: Change): void;
  }
}

/** What a change may concern on hosts. */
export interface HostInterest {
  /** A server's document, on its owner and wherever it was known. */
  server(id: string, ownerId: unknown, options: { deleted: boolean }): void;
  /** A layer's document, on its owner, which never changes; without one on whatever host was told of it. */
  layer(id: string, ownerId?: unknown): void;
  /** A port in a server's document or a network's metadata port; `row`: what is known of the port's row. */
  port(id: string, row: Readonly<Record<string, unknown>>): void;
  /** A network's document, and those of the servers on it. */
  network(id: string): void;
  /** Names that every network of the project answers for. */
  namesOf(projectId: unknown): void;
  /** The pools that are declared for a host. */
  pools(hostId: unknown): void;
  /** Where an image's bytes shall be. */
  image(id: string): void;
}

export interface Sessions {
  byHost: ReadonlyMap<string, HostSession>;
  told: Pick<Told<HostSession>, 'of'>;
}

/** Marks none but this one. */
export const onlyOf = (session: HostSession, told: Sessions['told']): Sessions => ({
  byHost: new Map([[session.hostId, session]]),
  told: {
    *of(kind, id) {
      for (const each of told.of(kind, id)) if (each === session) yield each;
    },
  },
});

type Looks = ReadonlyMap<string, (look: HostInterest, change: Change) => void>;

/** The resources that hosts are told of, by noun. */
export const looksOf = (resources: readonly ResourceDescriptor[]): Looks =>
  new Map(resources.flatMap(({ noun, wakes }) => (wakes?.hosts ? [[noun, wakes.hosts.bind(wakes)] as const] : [])));

/** Marks what each change makes doubtful and answers whether anything is. */
export function markDirty(
  looks: Looks,
  marks: HostInterest & { marked: boolean; owners?: ReadonlyMap<string, unknown> },
  changes: readonly Change[],
): boolean {
  marks.owners = ownersIn(changes);
  for (const change of changes) looks.get(change.resource_type)?.(marks, change);
  return marks.marked;
}

/** Whose ports they are, of those that changed: an address, whose row does not say so, comes with its port as a rule. */
const ownersIn = (changes: readonly Change[]): ReadonlyMap<string, unknown> =>
  new Map(
    changes.flatMap(({ resource_type: type, resource_id: id, body }) =>
      type === 'port' ? [[id, body.device_owner]] : [],
    ),
  );

export class Marks implements HostInterest {
  readonly #sessions: Sessions;
  readonly #images: Set<ImageId>;
  /** Anything was marked. */
  marked = false;
  /** What is known of ports whose rows are not shown, by id. */
  owners: ReadonlyMap<string, unknown> = new Map();

  /** @param images takes the images whose places may have changed */
  constructor(sessions: Sessions, images: Set<ImageId>) {
    this.#sessions = sessions;
    this.#images = images;
  }

  server(id: string, ownerId: unknown, { deleted }: { deleted: boolean }): void {
    const serverId = id as ServerId;
    const owner = this.#sessions.byHost.get(ownerId as string);
    this.#server(owner, serverId, {
      networks: owner !== undefined && (deleted || !owner.view.servers.knows(serverId)),
    });
    for (const session of this.#sessions.told.of('server', serverId)) {
      if (session !== owner) this.#server(session, serverId, { networks: true });
    }
  }

  layer(id: string, ownerId?: unknown): void {
    const layerId = id as LayerId;
    const { byHost } = this.#sessions;
    const owner =
      ownerId === undefined
        ? [...byHost.values()].find(({ view }) => view.layers.knows(layerId))
        : byHost.get(ownerId as string);
    if (!owner) return;
    owner.dirtyLayers.add(layerId);
    this.marked = true;
  }

  port(id: string, row: Readonly<Record<string, unknown>>): void {
    const bound = this.#sessions.byHost.get(row.host_id as string);
    if (bound && row.device_id) this.#server(bound, row.device_id as ServerId, { networks: true });
    for (const session of this.#sessions.told.of('port', id)) {
      const known = session.view.serverOfPort(id as PortId);
      if (known) this.#server(session, known, { networks: true });
    }
    // A name on a network is told to all its hosts, as is what its routers do. One that is taken away they learn with what comes next, within a minute.
    const toAll = Boolean(row.dns_name) || isRouters(row.device_owner);
    if (!toAll && !mayBeMetadataPort(row.device_owner ?? this.owners.get(id))) return;
    for (const session of this.#sessions.told.of('network', row.network_id as string)) {
      if (toAll || !session.view.serverOfPort(id as PortId)) this.#networks(session);
    }
  }

  network(id: string): void {
    for (const session of this.#sessions.told.of('network of a server', id)) {
      for (const server of session.view.serversOnNetwork(id as NetworkId))
        this.#server(session, server, { networks: true });
    }
    for (const session of this.#sessions.told.of('network', id)) this.#networks(session);
  }

  namesOf(projectId: unknown): void {
    for (const session of this.#sessions.told.of('network of a project', projectId as string)) this.#networks(session);
  }

  pools(hostId: unknown): void {
    const session = this.#sessions.byHost.get(hostId as string);
    if (!session) return;
    session.dirtyPools = true;
    this.marked = true;
  }

  image(id: string): void {
    if (this.#sessions.byHost.size === 0) return;
    this.#images.add(id as ImageId);
    this.marked = true;
  }

  #server(session: HostSession | undefined, id: ServerId, { networks }: { networks: boolean }): void {
    if (!session) return;
    session.dirtyServers.add(id);
    if (networks) session.dirtyNetworks = true;
    this.marked = true;
  }

  #networks(session: HostSession): void {
    session.dirtyNetworks = true;
    this.marked = true;
  }
}

const isRouters = (owner: unknown): boolean => String(owner).startsWith('network:router_interface');
/** Where the owner is not known, any address on a known network may be the metadata port's. */
const mayBeMetadataPort = (owner: unknown): boolean => owner === undefined || owner === 'network:distributed';
