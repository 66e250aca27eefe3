/**
 * Where a server goes that has a host already: the same decision as for one that has none, with what it has there counted until it has
 * left. What it needs on the host that it goes to is claimed in the transaction that decides (`server_claim`), so nobody else is given
 * it meanwhile; the claim ends with {@link releaseClaim}, or in the transaction that writes the new `host_id`. A process that dies
 * leaves the claim, whose owner finds it by the server.
 */
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import {
  type HostCapacity,
  HostPicture,
  imageHolders,
  lockPlacement,
  type Placement,
  type PlacementRequest,
  place,
  placementGroups,
  requestOf,
} from '../placement/index.ts';
import { recordDecisions } from './decisions.ts';
import { withBandwidth } from './placing.ts';
import { hostAwayMs } from './server.ts';
import { diskImage, placementNeeds, volumeHost } from './waiting.ts';

export interface MoveWish {
  serverId: ServerId;
  /** Not these; the host that it is on never. */
  exclude?: readonly string[];
  /** Only this one. */
  only?: HostId | null;
  /** Its volumes go along; else it goes only where they are, which is where it is. */
  withVolumes?: boolean;
  /** What it is to be there, where that is another size. */
  size?: Pick<PlacementRequest, 'vcpus' | 'memory_mib' | 'disk_gib'>;
}

interface Movable extends PlacementRequest {
  id: string;
  project_id: string;
  image_id: string | null;
  host_id: string | null;
}

/** What its volumes ask of pools is not asked here. */
async function read(tx: Tx, { serverId, exclude = [], only, withVolumes, size }: MoveWish) {
  const { rows } = await sql<Movable>`
    select s.id, s.project_id, ${diskImage} as image_id, s.host_id, s.vcpus, s.memory_mib, s.disk_gib + s.local_gib as disk_gib,
      s.availability_zone, null as requested_host_id, s.server_group_id, ${volumeHost} as volume_host_id, ${placementNeeds}
    from server s where s.id = ${serverId}`.execute(tx);
  const server = rows[0];
  if (!server) throw notFound('server', serverId);
  const request = requestOf({
    ...{ ...server, ...size, only: only ?? null },
    exclude: [...exclude, ...(server.host_id === null ? [] : [server.host_id])],
    ...(withVolumes && { volume_host_id: null }),
    moving: { server_id: server.id, host_id: server.host_id },
  });
  return { server, request };
}

/**
 * Decides where the server can go now, without changing anything: for a forecast. Whoever has placement's lock may rely on it.
 * @throws CloudError `not_found`
 */
export async function findTarget(
  tx: Tx,
  wish: MoveWish,
  { picture = new HostPicture(), awayMs = hostAwayMs }: { picture?: HostPicture; awayMs?: number } = {},
): Promise<{ server: Movable; request: PlacementRequest; found: Placement }> {
  const { server, request } = await read(tx, wish);
  const group = request.server_group_id ?? null;
  const hosts = await picture.read(tx, { awayMs });
  const holders = (await imageHolders(tx, server.image_id === null ? [] : [server.image_id])).get(
    server.image_id ?? '',
  );
  const groups = group === null ? undefined : await placementGroups(tx, [group]);
  const seen = (await withBandwidth(tx, hosts, [request])).map(
    (host): HostCapacity => ({ ...host, holds_image: holders?.has(host.id) ?? false }),
  );
  return { server, request, found: place(request, seen, groups?.get(group ?? '')) };
}

/**
 * Decides, claims what the server needs there, and leaves a why-record of kind `move`. Whoever calls it holds the server's row. Asked
 * again it decides anew, and the claim before is another's to take.
 * @throws CloudError `not_found`
 */
export async function placeMove(
  tx: Tx,
  wish: MoveWish,
  options: { picture?: HostPicture; awayMs?: number } = {},
): Promise<Placement> {
  await lockPlacement(tx);
  await releaseClaim(tx, wish.serverId);
  const { server, request, found } = await findTarget(tx, wish, options);
  await recordDecisions(tx, [{ server, request, found, kind: 'move' }]);
  if (found.host) {
    const { vcpus, memory_mib, disk_gib } = request;
    await sql`insert into server_claim (server_id, host_id, vcpus, memory_mib, disk_gib)
      values (${server.id}, ${found.host.id}, ${vcpus}, ${memory_mib}, ${disk_gib})`.execute(tx);
  }
  return found;
}

/** The why-record of a move that found no host, where the transaction that asked has come to nothing. */
export async function recordRefusedMove(tx: Tx, wish: MoveWish): Promise<void> {
  const { server, request, found } = await findTarget(tx, wish);
  if (!found.host) await recordDecisions(tx, [{ server, request, found, kind: 'move' }]);
}

/** Safe to repeat. */
export async function releaseClaim(tx: Tx, serverId: string): Promise<void> {
  await sql`delete from server_claim where server_id = ${serverId}`.execute(tx);
}
