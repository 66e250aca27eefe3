/**
 * What a stream begins with: all that the host shall have. A host says which documents it holds, by their stamps; of those that are
 * still in force only the ids are sent, and no document is read: so a thousand hosts that come back at once cost what has changed.
 * Reads only.
 */
import { absentServer } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import type { DatabaseHistory } from './history.ts';
import type { HostedNetworks, HostedServers } from './hosted.ts';
import type { HostHello, HostSnapshot } from './session.ts';
import { absencesFor, imagesOn } from './store.ts';

export interface SnapshotSources {
  database: Database;
  servers: HostedServers;
  networks: HostedNetworks;
  history: DatabaseHistory;
}

export async function readSnapshot(from: SnapshotSources, hostId: HostId, hello: HostHello): Promise<HostSnapshot> {
  const db = from.database.query;
  const place = await from.history.place();
  const [{ servers, held }, networks, images] = await Promise.all([
    readServers(from, hostId, holdsOf(hello, place.incarnation)),
    from.networks.desiredNetworks(db, hostId),
    imagesOn(db, hostId),
  ]);
  // Read after the servers: of one that leaves the host meanwhile both are seen, and its absence counts.
  const absences = await absencesFor(db, hostId);
  const gone = new Set(absences.map(({ id }) => id));
  return {
    servers: [...servers.filter(({ id }) => !gone.has(id)), ...absences.map(absentServer)],
    held: held?.filter(({ id }) => !gone.has(id)),
    ...{ networks, images, ...place },
  };
}

/** Stamps of another history of the database prove nothing in this one. */
const holdsOf = ({ holds, remembers }: HostHello, incarnation: string) =>
  holds && (remembers?.incarnation === incarnation ? holds : {});

async function readServers(
  { database: { query: db }, servers }: SnapshotSources,
  hostId: HostId,
  holds: Readonly<Record<string, string>> | undefined,
): Promise<Pick<HostSnapshot, 'servers' | 'held'>> {
  if (!holds) return { servers: await servers.desiredServers(db, { hostId }), held: undefined };
  const byHost = new Map(Object.entries(holds));
  const stamps = await servers.serverStamps(db, hostId);
  const held = stamps.filter(({ id, stamp }) => byHost.get(id) === stamp);
  if (held.length === stamps.length) return { servers: [], held };
  const known = new Set(held.map(({ id }) => id));
  const serverIds = stamps.flatMap(({ id }) => (known.has(id) ? [] : [id]));
  return { servers: await servers.desiredServers(db, { hostId, serverIds }), held };
}
