/** What the streams need of other areas; the composition root hands the real ones in. */
import type {
  ControlMessage,
  DeclaredPool,
  DesiredLayer,
  DesiredNetwork,
  DesiredServer,
  HostPool,
  MeterReading,
  ObservedLayer,
  ObservedServer,
  PoolLevel,
} from '../../contract/host/index.ts';
import type { HostId, LayerId, NetworkId, PortId, ServerId, VolumeKeyId } from '../../contract/ids.ts';
import type { Queryable } from '../kit/database/database.ts';

/** A document without the document: what tells whether it is news. */
export interface DocumentStamp<Id extends string> {
  id: Id;
  epoch: number;
  generation: number;
  /** As in the document. */
  stamp: string;
}

export type LayerStamp = DocumentStamp<LayerId>;

/** With whom a change of it concerns. */
export interface ServerStamp extends DocumentStamp<ServerId> {
  ports: PortId[];
  networks: NetworkId[];
}

/** What the streams need of control/compute/server. */
export interface HostedServers {
  /** Complete documents: those that still exist, of one owner or whoever owns them. */
  desiredServers(db: Queryable, filter: ServerFilter): Promise<DesiredServer[]>;
  /** Of all that each host owns; a fraction of what the documents cost. */
  serverStamps(db: Queryable, hostIds: readonly HostId[]): Promise<ReadonlyMap<HostId, ServerStamp[]>>;
  /** Keeps what comes from the owner under its epoch; answers the servers whose absence is recorded. */
  recordReports(hostId: HostId, observed: readonly ObservedServer[], options?: ReportOptions): Promise<ServerId[]>;
}

export interface ReportOptions {
  /** All that the host has is in it. */
  complete: boolean;
  /** On which it was said; what comes on one that was replaced is refused with {@link StreamReplaced}. Absent: any (tests). */
  connectionId?: string;
}

export interface ServerFilter {
  /** The owner. */
  hostId?: HostId;
  serverIds?: readonly ServerId[];
}

/** What the streams need of control/storage. */
export interface HostedLayers {
  /** Complete documents of those that still exist, each with its owner, which never changes. */
  desiredLayers(db: Queryable, filter: LayerFilter): Promise<OwnedLayer[]>;
  /** Of all that each host shall have or remove. */
  layerStamps(db: Queryable, hostIds: readonly HostId[]): Promise<ReadonlyMap<HostId, LayerStamp[]>>;
  /** As for servers. */
  recordReports(hostId: HostId, observed: readonly ObservedLayer[], options?: ReportOptions): Promise<LayerId[]>;
  /** The pools that are declared for these hosts: all of each. */
  declaredPools(db: Queryable, hostIds: readonly HostId[]): Promise<ReadonlyMap<HostId, DeclaredPool[]>>;
  /** The pools that the host says that it has: all of them. */
  recordPools(db: Queryable, hostId: HostId, pools: readonly HostPool[]): Promise<void>;
  /** How some of them are by now. */
  recordLevels(db: Queryable, hostId: HostId, levels: readonly PoolLevel[]): Promise<void>;
  /** The keys that the host asks for, an answer each: those of layers that it has. */
  handOutKeys(hostId: HostId, ids: readonly VolumeKeyId[]): Promise<HandedOutKey[]>;
}

/** One of the keys of encrypted layers, for the host's stream alone. */
export type HandedOutKey = (ControlMessage & { type: 'keys' })['keys'][number];

export interface LayerFilter {
  hostId?: HostId;
  layerIds?: readonly LayerId[];
}

export interface OwnedLayer {
  hostId: HostId;
  layer: DesiredLayer;
}

/** What the streams need of control/network. */
export interface HostedNetworks {
  /** By host every network that has a port of one of its servers; a network of several is one value. */
  networksOfHosts(db: Queryable, hostIds: readonly HostId[]): Promise<ReadonlyMap<HostId, DesiredNetwork[]>>;
}

/** What the streams need of control/network/meter. */
export interface HostedMeters {
  /** What was recorded already counts once. */
  recordReadings(hostId: HostId, readings: readonly MeterReading[]): Promise<void>;
}
