/**
 * What may be news to hosts, read for many of them at once, and as the message that says it. Marks on sessions say what to read; what was
 * taken of them and could not be read is given back.
 */
import {
  absentServer,
  type ControlMessage,
  type DeclaredPool,
  type DesiredLayer,
  type DesiredNetwork,
  type DesiredServer,
} from '../../contract/host/index.ts';
import type { LayerId, ServerId } from '../../contract/ids.ts';
import type { Queryable } from '../kit/database/database.ts';
import type { HostedLayers, HostedNetworks, HostedServers } from './hosted.ts';
import type { HostSession } from './session.ts';
import { whereaboutsOf } from './store.ts';
import type { HostView } from './view.ts';

export interface NewsSources {
  servers: HostedServers;
  layers: HostedLayers;
  networks: HostedNetworks;
}

/** What of one session is looked at in a round. */
export interface Taken {
  session: HostSession;
  servers: ServerId[];
  layers: LayerId[];
  networks: boolean;
  pools: boolean;
}

export const isDirty = (session: HostSession): boolean =>
  session.dirtyServers.size > 0 ||
  session.dirtyLayers.size > 0 ||
  session.dirtyNetworks ||
  session.dirtyPools ||
  session.dirtyImages;

/** As much of what is marked as goes into one round, of each kind; what is left has the next one. */
export function takeMarks(sessions: readonly HostSession[], documents: number): Taken[] {
  const left = { servers: documents, layers: documents };
  return sessions.map((session) => {
    const servers = takeSome(session.dirtyServers, left.servers);
    const layers = takeSome(session.dirtyLayers, left.layers);
    left.servers -= servers.length;
    left.layers -= layers.length;
    const { dirtyNetworks: networks, dirtyPools: pools } = session;
    session.dirtyNetworks = false;
    session.dirtyPools = false;
    return { session, servers, layers, networks, pools };
  });
}

function takeSome<Id>(marks: Set<Id>, most: number): Id[] {
  const some = [...marks].slice(0, most);
  for (const id of some) marks.delete(id);
  return some;
}

export function giveBackMarks({ session, servers, layers, networks, pools }: Taken): void {
  for (const id of servers) session.dirtyServers.add(id);
  for (const id of layers) session.dirtyLayers.add(id);
  session.dirtyNetworks ||= networks;
  session.dirtyPools ||= pools;
}

/** What may be news to a host. */
interface News {
  servers: readonly DesiredServer[];
  layers: readonly DesiredLayer[];
  /** The complete list; undefined: nothing was read. */
  networks: readonly DesiredNetwork[] | undefined;
  /** The same. */
  pools: readonly DeclaredPool[] | undefined;
}

/** One query serves all documents of one kind. Answers what of them is each session's; what changed owners meanwhile is marked again. */
export async function readNews(
  from: NewsSources,
  db: Queryable,
  taken: readonly Taken[],
): Promise<(work: Taken) => News> {
  const serverIds = [...new Set(taken.flatMap(({ servers }) => servers))];
  const layerIds = [...new Set(taken.flatMap(({ layers }) => layers))];
  const poolsOf = taken.flatMap(({ pools, session }) => (pools ? session.hostId : []));
  const networksOf = taken.flatMap(({ networks, session }) => (networks ? session.hostId : []));
  const [documents, whereabouts, layers, pools, networks] = await Promise.all([
    serverIds.length > 0 ? from.servers.desiredServers(db, { serverIds }) : [],
    whereaboutsOf(db, serverIds),
    layerIds.length > 0 ? from.layers.desiredLayers(db, { layerIds }) : [],
    poolsOf.length > 0 ? from.layers.declaredPools(db, poolsOf) : undefined,
    networksOf.length > 0 ? from.networks.networksOfHosts(db, networksOf) : undefined,
  ]);
  const byId = Map.groupBy(documents, ({ id }) => id);
  const layersOf = Map.groupBy(layers, ({ hostId }) => hostId);
  const serversOf = ({ session, servers }: Taken) =>
    servers.flatMap((id): DesiredServer[] => {
      const { epochs, absences } = whereabouts(id);
      const absence = absences.get(session.hostId);
      // What is neither the host's nor told to be absent is left alone: nothing is erased because it is missing.
      if (absence) return [absentServer(absence)];
      const own = epochs.get(session.hostId);
      if (own === undefined) return [];
      const document = byId.get(id)?.find(({ epoch }) => epoch === own);
      if (document) return [document];
      // It changed owners between the two reads.
      if (byId.has(id)) session.dirtyServers.add(id);
      return [];
    });
  return (work) => {
    const wanted = new Set(work.layers);
    const own = layersOf.get(work.session.hostId) ?? [];
    return {
      servers: serversOf(work),
      layers: own.flatMap(({ layer }) => (wanted.has(layer.id) ? layer : [])),
      networks: work.networks ? (networks?.get(work.session.hostId) ?? []) : undefined,
      pools: work.pools ? (pools?.get(work.session.hostId) ?? []) : undefined,
    };
  };
}

/**
 * What an update says, or undefined when the host knows all of it.
 * @param options.images the view's images are not what the host was told
 */
export function updateFor(
  view: HostView,
  news: News,
  { images }: { images: boolean },
): (ControlMessage & { type: 'update' }) | undefined {
  const servers = view.tellServers(news.servers);
  const layers = view.tellLayers(news.layers);
  const { networks, removedNetworks } = news.networks
    ? view.tellNetworks(news.networks)
    : { networks: [], removedNetworks: [] };
  const anything = servers.length + layers.length + networks.length + removedNetworks.length > 0;
  if (!anything && !images) return undefined;
  return {
    ...{ type: 'update', servers, networks, removedNetworks },
    ...(layers.length > 0 && { layers }),
    ...(images && { images: view.images() }),
  };
}
