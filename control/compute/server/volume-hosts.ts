/**
 * Where servers go whose volumes are made with them: a host that takes the server and has pools that take all of the volumes, chosen in the
 * transaction that makes both, with a why-record. The placement that follows finds the volumes there, and goes after them.
 */
import type { Tx } from '../../kit/database/database.ts';
import { freeBandwidth } from '../../network/bandwidth/bandwidth.ts';
import { choose, chooseTogether, lockPools, type PoolState, readPools } from '../../storage/pool/index.ts';
import {
  HintedHosts,
  type HostHints,
  HostPicture,
  imageHolders,
  lockPlacement,
  type Placement,
  type PlacementRequest,
  PlacementRound,
  placementGroups,
  requestOf,
} from '../placement/index.ts';
import { recordDecisions, type VolumeSize } from './decisions.ts';
import { sentences } from './refuse.ts';
import { hostAwayMs } from './server.ts';

export interface ChosenHost {
  /** Null: none takes it, `why` says the reason. */
  hostId: string | null;
  why: string;
}

/** One for each of the servers, which are of the same kind. */
export async function chooseHosts(
  tx: Tx,
  { hints, ...asked }: PlacementRequest & { hints?: HostHints },
  { volumes, imageId, servers }: HostsWish,
): Promise<ChosenHost[]> {
  const group = asked.server_group_id ?? null;
  const [, , hosts, holders, groups, pools, free] = await Promise.all([
    lockPlacement(tx),
    lockPools(tx),
    new HostPicture().read(tx, { awayMs: hostAwayMs }),
    imageHolders(tx, imageId === null ? [] : [imageId]),
    group === null ? undefined : placementGroups(tx, [group]),
    readPools(tx, imageId),
    asked.bandwidth ? freeBandwidth(tx) : undefined,
  ]);
  // All are of one project, and what they name was there before them.
  const choosy = { ...asked, volume_host_id: null, project_id: servers[0]!.project_id, hints };
  const request = requestOf((await HintedHosts.read(tx, [choosy])).of(choosy));
  const left = Map.groupBy(pools, ({ host_id }) => host_id) as Map<string, PoolState[]>;
  const takesAll = (hostId: string) => chooseTogether(volumes, left.get(hostId) ?? []) !== undefined;
  // One whose process is being restarted is no worse than the others.
  const seen = hosts.map((host) => ({
    ...host,
    connected: host.seen_lately,
    volumes_refused: !takesAll(host.id),
    ...(free && { bandwidth: free.get(host.id) ?? [] }),
  }));
  const round = new PlacementRound(seen, holders, groups);
  const decided = servers.map((server) => {
    const found = round.place(request, imageId);
    if (!found.host) return { server, request, ...refused(found, volumes, [...left.values()].flat()) };
    const { id } = found.host;
    left.set(id, chooseTogether(volumes, left.get(id) ?? []) ?? []);
    if (!takesAll(id)) round.refuseVolumes(id);
    return { server, request, found, volumes: { asked: volumes, verdicts: [] } };
  });
  await recordDecisions(tx, decided);
  return decided.map(({ found }) => ({ hostId: found.host?.id ?? null, why: sentences(found) }));
}

interface HostsWish {
  volumes: readonly VolumeSize[];
  /** Of the root volume. */
  imageId: string | null;
  servers: readonly { id: string; project_id: string }[];
}

/** Where it is the volumes that no host takes, what pools say of the first of them that none takes by itself says more than hosts can. */
function refused(found: Placement, asked: readonly VolumeSize[], pools: readonly PoolState[]) {
  const none = asked.map((volume) => choose(volume, pools)).find(({ pool }) => !pool);
  const volumes = { asked, verdicts: none?.verdicts ?? [] };
  if (!none || found.hosts === 0) return { found, volumes };
  const { message, fix } = none;
  return { found: { ...found, message: `no pool takes one of its volumes: ${message}`, fix }, volumes };
}
