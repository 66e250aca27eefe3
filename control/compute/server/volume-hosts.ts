/**
 * Where servers go whose volumes are made with them: a host that takes the server and has a pool that takes the volumes, chosen in the
 * transaction that makes both. The placement that follows finds the volumes there, and goes after them.
 */
import type { Tx } from '../../kit/database/database.ts';
import { choose, lockPools, type PoolState, readPools } from '../../storage/pool/index.ts';
import type { CacheWords } from '../../storage/volume-type/index.ts';
import {
  HostPicture,
  imageHolders,
  lockPlacement,
  type PlacementRequest,
  PlacementRound,
  placementGroups,
} from '../placement/index.ts';
import { sentences } from './refuse.ts';
import { hostAwayMs } from './server.ts';

/** A volume that is to be made. */
export interface VolumeSize {
  sizeBytes: number;
  /** Of its type. */
  extraSpecs: Readonly<Record<string, string>>;
  /** Of its type, too. */
  cache: CacheWords | null;
}

export interface ChosenHost {
  /** Null: none takes it, `why` says the reason. */
  hostId: string | null;
  why: string;
}

/** One for each of so many servers of the same kind. */
export async function chooseHosts(
  tx: Tx,
  request: PlacementRequest,
  { volumes, imageId, count }: { volumes: readonly VolumeSize[]; imageId: string | null; count: number },
): Promise<ChosenHost[]> {
  const group = request.server_group_id ?? null;
  const [, , hosts, holders, groups, pools] = await Promise.all([
    lockPlacement(tx),
    lockPools(tx),
    new HostPicture().read(tx, { awayMs: hostAwayMs }),
    imageHolders(tx, imageId === null ? [] : [imageId]),
    group === null ? undefined : placementGroups(tx, [group]),
    readPools(tx, imageId),
  ]);
  const byHost = Map.groupBy(pools, ({ host_id }) => host_id);
  const takesAll = (of: readonly PoolState[] = []) => volumes.every((volume) => choose(volume, of).pool);
  // One whose process is being restarted is no worse than the others.
  const fit = hosts
    .filter(({ id }) => takesAll(byHost.get(id)))
    .map((host) => ({ ...host, connected: host.seen_lately }));
  if (fit.length === 0 && hosts.length > 0) {
    const none = volumes.map((volume) => choose(volume, pools)).find(({ pool }) => !pool) ?? choose(volumes[0]!, []);
    return Array(count).fill({ hostId: null, why: sentences(none) });
  }
  const round = new PlacementRound(fit, holders, groups);
  return Array.from({ length: count }, () => {
    const found = round.place(request, imageId);
    return { hostId: found.host?.id ?? null, why: sentences(found) };
  });
}
