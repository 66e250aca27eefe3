/** The rows of new servers, with their interfaces and volumes: what a creation writes once it has read and decided. */
import type { ServerId } from '../../../contract/ids.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { bandwidthOfPorts } from '../../network/bandwidth/bandwidth.ts';
import type { ServerPort, ServerPortsPlan } from '../../network/port/server-ports.ts';
import { reachOfPorts } from '../../network/segment/reach.ts';
import type { PlacementPolicy } from '../placement/index.ts';
import { giveVolumes, hostsForVolumes, type VolumePlan } from './create-volumes.ts';
import type { ServerImages, ServerPorts } from './dependencies.ts';
import { refuseServer } from './refuse.ts';
import { createDeadlineMs } from './server.ts';
import { insertServerPorts, insertServers, type NewServer } from './store.ts';
import type { ChosenHost } from './volume-hosts.ts';
import { machineNeedOf, type Unplaced } from './waiting.ts';
import type { ServerWish } from './wish.ts';

/** The jobs of servers that are placed without them, for the case that this process dies before it did. */
const jobInMs = 1000;

export interface CreateDependencies {
  database: Database;
  ports: ServerPorts;
  images: ServerImages;
  /** Of servers that ask for none; absent: `spread`. */
  placementPolicy?: PlacementPolicy | undefined;
  /** Told of what has been made and waits for a host. */
  created?: ((servers: readonly Unplaced[]) => void) | undefined;
}

export interface Written {
  ids: ServerId[];
  /** Those that wait for a host. */
  unplaced: Unplaced[];
  /** What is under way, and decides nothing. */
  last: Promise<unknown>[];
}

export async function writeServers(
  deps: CreateDependencies,
  tx: Tx,
  {
    caller,
    wish,
    servers,
    ...plans
  }: {
    caller: Caller;
    wish: ServerWish;
    servers: readonly (NewServer & { id: ServerId })[];
    ports: ServerPortsPlan;
    volumes: VolumePlan;
  },
): Promise<Written> {
  const ids = servers.map(({ id }) => id);
  const [first] = servers;
  const [ports, rows] = await Promise.all([
    deps.ports.createServerPorts(tx, caller, plans.ports, servers),
    insertServers(tx, actorOf(caller), servers, {
      userData: wish.userData,
      files: wish.files,
      adminPassword: first?.config_drive ? wish.adminPassword : null,
      deadlineMs: createDeadlineMs,
      jobInMs: deps.created ? jobInMs : 0,
    }),
  ]);
  const failed = new Set<string>();
  let hosts: readonly ChosenHost[] = [];
  if (plans.volumes.wishes.length > 0) {
    const portIds = ports[0]?.map(({ portId }) => portId) ?? [];
    const [bandwidth, reach] = await Promise.all([bandwidthOfPorts(tx, portIds), reachOfPorts(tx, portIds)]);
    const { hardware, disk_gib, local_gib, same_host, different_host } = first!;
    const request = {
      ...first!,
      hints: { same_host, different_host },
      disk_gib: disk_gib + local_gib,
      bandwidth,
      reach,
      machine: machineNeedOf(hardware),
      host_wish: hardware.host_wish ?? null,
      policy: first!.placement_policy ?? 'spread',
    };
    hosts = await hostsForVolumes(tx, { request, plan: plans.volumes, servers });
    const given = await giveVolumes(tx, { images: deps.images, caller }, { plan: plans.volumes, servers, hosts });
    for (const [id, why] of given) {
      failed.add(id);
      await refuseServer(tx, { id, generation: 1 }, { message: why });
    }
  }
  const byId = new Map(rows.map((row) => [row.id, row]));
  const unplaced = servers.map(
    (server, index): Unplaced => ({
      ...{ ...server, ...byId.get(server.id)!, host_id: null, volume_host_id: hosts[index]?.hostId ?? null },
      card_limits: server.hardware.card_limits ?? {},
    }),
  );
  return {
    ids,
    unplaced: unplaced.filter(({ id }) => !failed.has(id)),
    last: [insertServerPorts(tx, serverPorts(wish, ids, ports))],
  };
}

/** Each server's interfaces in order, with the tags that the wish gives them. */
const serverPorts = (wish: ServerWish, ids: readonly ServerId[], ports: readonly ServerPort[][]) =>
  ids.flatMap((server_id, index) =>
    ports[index]!.map(({ portId }, position) => ({
      ...{ server_id, port_id: portId, position },
      tag: wish.ports[position]?.tag ?? null,
    })),
  );
