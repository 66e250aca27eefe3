/**
 * What a stream begins with: all that the host shall have. A host says which documents it holds, by their stamps; of those that are
 * still in force only the ids are sent, and no document is read: so a thousand hosts that come back at once cost what has changed.
 * Reads only.
 */
import { absentServer } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import type { DatabaseHistory } from './history.ts';
import type { DocumentStamp, HostedLayers, HostedNetworks, HostedServers } from './hosted.ts';
import type { HostHello, HostSnapshot } from './session.ts';
import { absencesFor, imagesOn } from './store.ts';

export interface SnapshotSources {
  database: Database;
  servers: HostedServers;
  layers: HostedLayers;
  networks: HostedNetworks;
  history: DatabaseHistory;
}

export interface WantedSnapshot {
  hostId: HostId;
  hello: HostHello;
}

/** A snapshot each, in their order, of hosts that come at once: what can be read of all of them together is. */
async function readSnapshots(from: SnapshotSources, wanted: readonly WantedSnapshot[]): Promise<HostSnapshot[]> {
  const db = from.database.query;
  const hostIds = [...new Set(wanted.map(({ hostId }) => hostId))];
  const place = await from.history.place();
  // Stamps of another history of the database prove nothing in this one.
  const holds = wanted.map(({ hostId, hello: { remembers, holds, holdsLayers } }): Holding => {
    const inForce = remembers?.incarnation === place.incarnation;
    return { hostId, servers: holds && (inForce ? holds : {}), layers: holdsLayers && (inForce ? holdsLayers : {}) };
  });
  const [servers, layers, networks, images, pools] = await Promise.all([
    readServers(from, holds),
    readLayers(from, holds),
    from.networks.networksOfHosts(db, hostIds),
    imagesOn(db, hostIds),
    from.layers.declaredPools(db, hostIds),
  ]);
  // Read after the servers: of one that leaves the host meanwhile both are seen, and its absence counts.
  const absencesOf = await absencesFor(db, hostIds);
  return wanted.map(({ hostId }, index) => {
    const absences = absencesOf(hostId);
    const gone = new Set(absences.map(({ id }) => id));
    const { documents, held } = servers[index]!;
    return {
      servers: [...documents.filter(({ id }) => !gone.has(id)), ...absences.map(absentServer)],
      layers: layers[index]!.documents.map(({ layer }) => layer),
      held: { servers: held?.filter(({ id }) => !gone.has(id)), layers: layers[index]!.held },
      ...{ networks: networks.get(hostId) ?? [], images: images(hostId), ...place, pools: pools.get(hostId) ?? [] },
    };
  });
}

/** For a stream that ended before its turn came. */
const nothing: HostSnapshot = {
  ...{ servers: [], networks: [], images: [], pools: [] },
  held: { servers: undefined, layers: undefined },
};

/** As {@link readSnapshots}; for a stream that has ended nothing is read. */
export async function readWhereOpen(
  from: SnapshotSources,
  wanted: readonly { session: { hostId: HostId; closed: boolean }; hello: HostHello }[],
): Promise<HostSnapshot[]> {
  const open = wanted.filter(({ session }) => !session.closed);
  const read = await readSnapshots(
    from,
    open.map(({ session: { hostId }, hello }) => ({ hostId, hello })),
  );
  const of = new Map(open.map(({ session }, index) => [session, read[index]]));
  return wanted.map(({ session }) => of.get(session) ?? nothing);
}

type Holds = Readonly<Record<string, string>> | undefined;

/** What one host says that it has, as far as it counts. */
interface Holding {
  hostId: HostId;
  servers: Holds;
  layers: Holds;
}

const readServers = ({ database: { query: db }, servers }: SnapshotSources, holdings: readonly Holding[]) =>
  readDocuments(
    holdings.map((holding) => ({ hostId: holding.hostId, holds: holding.servers })),
    {
      stamps: (hostIds) => servers.serverStamps(db, hostIds),
      documents: (hostId, serverIds) => servers.desiredServers(db, { hostId, ...(serverIds && { serverIds }) }),
    },
  );

const readLayers = ({ database: { query: db }, layers }: SnapshotSources, holdings: readonly Holding[]) =>
  readDocuments(
    holdings.map((holding) => ({ hostId: holding.hostId, holds: holding.layers })),
    {
      stamps: (hostIds) => layers.layerStamps(db, hostIds),
      documents: (hostId, layerIds) => layers.desiredLayers(db, { hostId, ...(layerIds && { layerIds }) }),
    },
  );

/** Of what each host says that it holds the stamps, of the rest the documents. */
async function readDocuments<Id extends string, Stamp extends DocumentStamp<Id>, Document>(
  hosts: readonly { hostId: HostId; holds: Holds }[],
  read: {
    stamps(hostIds: HostId[]): Promise<ReadonlyMap<HostId, Stamp[]>>;
    documents(hostId: HostId, ids?: Stamp['id'][]): Promise<Document[]>;
  },
): Promise<{ documents: Document[]; held: Stamp[] | undefined }[]> {
  const telling = hosts.flatMap(({ hostId, holds }) => (holds ? hostId : []));
  const stampsOf = telling.length > 0 ? await read.stamps([...new Set(telling)]) : new Map<HostId, Stamp[]>();
  const all: { documents: Document[]; held: Stamp[] | undefined }[] = [];
  // One after the other: documents are much more than stamps, and the database is the API's, too.
  for (const { hostId, holds } of hosts) {
    const stamps = stampsOf.get(hostId) ?? [];
    const held = holds && stamps.filter(({ id, stamp }) => holds[id] === stamp);
    const known = new Set(held?.map(({ id }) => id));
    const others = held && stamps.flatMap(({ id }) => (known.has(id) ? [] : [id]));
    all.push({ documents: others?.length === 0 ? [] : await read.documents(hostId, others), held });
  }
  return all;
}
