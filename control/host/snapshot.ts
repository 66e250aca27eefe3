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

export async function readSnapshot(from: SnapshotSources, hostId: HostId, hello: HostHello): Promise<HostSnapshot> {
  const db = from.database.query;
  const place = await from.history.place();
  // Stamps of another history of the database prove nothing in this one.
  const inForce = hello.remembers?.incarnation === place.incarnation;
  const [servers, layers, networks, images, pools] = await Promise.all([
    readServers(from, hostId, hello.holds && (inForce ? hello.holds : {})),
    readLayers(from, hostId, hello.holdsLayers && (inForce ? hello.holdsLayers : {})),
    from.networks.desiredNetworks(db, hostId),
    imagesOn(db, hostId),
    from.layers.declaredPools(db, [hostId]),
  ]);
  // Read after the servers: of one that leaves the host meanwhile both are seen, and its absence counts.
  const absences = await absencesFor(db, hostId);
  const gone = new Set(absences.map(({ id }) => id));
  const held = servers.held?.filter(({ id }) => !gone.has(id));
  return {
    servers: [...servers.documents.filter(({ id }) => !gone.has(id)), ...absences.map(absentServer)],
    layers: layers.documents.map(({ layer }) => layer),
    held: { servers: held, layers: layers.held },
    ...{ networks, images, ...place, pools: pools.get(hostId) ?? [] },
  };
}

type Holds = Readonly<Record<string, string>> | undefined;

const readServers = ({ database: { query: db }, servers }: SnapshotSources, hostId: HostId, holds: Holds) =>
  readDocuments(holds, {
    stamps: () => servers.serverStamps(db, hostId),
    documents: (serverIds) => servers.desiredServers(db, { hostId, ...(serverIds && { serverIds }) }),
  });

const readLayers = ({ database: { query: db }, layers }: SnapshotSources, hostId: HostId, holds: Holds) =>
  readDocuments(holds, {
    stamps: () => layers.layerStamps(db, hostId),
    documents: (layerIds) => layers.desiredLayers(db, { hostId, ...(layerIds && { layerIds }) }),
  });

/** Of what the host says that it holds the stamps, of the rest the documents. */
async function readDocuments<Id extends string, Stamp extends DocumentStamp<Id>, Document>(
  holds: Holds,
  read: { stamps(): Promise<Stamp[]>; documents(ids?: Stamp['id'][]): Promise<Document[]> },
): Promise<{ documents: Document[]; held: Stamp[] | undefined }> {
  if (!holds) return { documents: await read.documents(), held: undefined };
  const byHost = new Map(Object.entries(holds));
  const stamps = await read.stamps();
  const held = stamps.filter(({ id, stamp }) => byHost.get(id) === stamp);
  if (held.length === stamps.length) return { documents: [], held };
  const known = new Set(held.map(({ id }) => id));
  return { documents: await read.documents(stamps.flatMap(({ id }) => (known.has(id) ? [] : [id]))), held };
}
