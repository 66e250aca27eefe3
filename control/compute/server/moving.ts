/**
 * Where a server goes that has a host already: the same decision as for one that has none, with what it has there counted until it has
 * left. What it needs on the host that it goes to is claimed in the transaction that decides (`server_claim`), so nobody else is given
 * it meanwhile; the claim ends with {@link releaseClaim}, or in the transaction that writes the new `host_id`. A process that dies
 * leaves the claim, whose owner finds it by the server.
 */
import { setImmediate as turnOfOthers } from 'node:timers/promises';
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { json } from '../../kit/database/schema.ts';
import { notFound } from '../../kit/refusal.ts';
import {
  HintedHosts,
  type HostCapacity,
  type HostHints,
  HostPicture,
  imageHolders,
  lockPlacement,
  type Placement,
  type PlacementGroup,
  type PlacementRequest,
  PlacementRound,
  place,
  placementGroups,
  requestOf,
  wakeHosts,
  withTunnels,
} from '../placement/index.ts';
import { recordDecisions } from './decisions.ts';
import { withBandwidth } from './placing.ts';
import { keepRefuges, withoutRefuge } from './refuges.ts';
import { hostAwayMs } from './server.ts';
import { diskImage, placementNeeds, settledVolumeHost, volumeHost } from './waiting.ts';

/** Decided in one go, before whatever else waits for the event loop has its turn. */
const turnMs = 8;

export interface MoveWish {
  serverId: ServerId;
  /** Not these; the host that it is on never. */
  exclude?: readonly string[];
  /** Only this one. */
  only?: HostId | null;
  /** The way that it is to take there: not every host takes part. */
  mode?: 'cold' | 'live';
  /** Its disk is made anew of its image there. */
  anew?: boolean;
  /** Its volumes go along; else it goes only where they are, which is where it is. */
  withVolumes?: boolean;
  /** It has lost its host, or that shall be empty: it may have what hosts keep for such. */
  usesReserve?: boolean;
  /** What it is to be there, where that is another size. */
  size?: Pick<PlacementRequest, 'vcpus' | 'memory_mib' | 'disk_gib'>;
}

interface Movable extends PlacementRequest {
  id: string;
  project_id: string;
  image_id: string | null;
  host_id: string | null;
  /** Where its disk is made anew, which calls off what is on its way to it. */
  settled_volume_host_id: string | null;
  unopenable: string[] | null;
  hints: HostHints | null;
  /** Where room is kept for it. */
  refuge_host_id: string | null;
}

/** Of `server s`: its volumes that their host can't open, and why; null: none. */
const unopenable = sql`(select json_agg('volume ' || v.id || ': ' || case when l.observed_state = 'failed'
      then coalesce(l.observed_error ->> 'message', 'its layer has failed') else 'its key is gone' end order by v.id)
    from volume_attachment a join volume v on v.id = a.volume_id join volume_layer l on l.id = v.layer_id
      left join volume_key k on k.id = l.key_id
    where a.server_id = s.id and a.target_host_id is null and (l.observed_state = 'failed' or k.id is not null and k.sealed is null))`;

/** What its volumes ask of pools is not asked here. In the order of the wishes. */
async function readAll(tx: Tx, wishes: readonly MoveWish[]) {
  const ids = wishes.map(({ serverId }) => serverId);
  const { rows } = await sql<Movable>`
    select s.id, s.project_id, ${diskImage} as image_id, s.host_id, s.vcpus, s.memory_mib, s.disk_gib + s.local_gib as disk_gib,
      s.availability_zone, null as requested_host_id, s.server_group_id, ${volumeHost} as volume_host_id, ${settledVolumeHost} as settled_volume_host_id, ${placementNeeds},
      ${unopenable} as unopenable,
      (select refuge_host_id from server_refuge where server_id = s.id and lost_host_id = s.host_id) as refuge_host_id
    from server s where ${isOneOf(sql`s.id`, ids)}`.execute(tx);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return wishes.map(({ serverId, exclude = [], only, withVolumes, size, mode, usesReserve, anew = false }) => {
    const server = byId.get(serverId);
    if (!server) throw notFound('server', serverId);
    const request = requestOf({
      ...{ ...server, ...size, only: only ?? null },
      exclude: [...exclude, ...(server.host_id === null ? [] : [server.host_id])],
      ...(anew && { volume_host_id: server.settled_volume_host_id }),
      ...(withVolumes && { volume_host_id: null }),
      moving: { server_id: server.id, host_id: server.host_id },
      ...(mode && { migration: mode }),
      ...(usesReserve && { uses_reserve: true }),
    });
    return { server, request, anew };
  });
}

export interface PlacedMove {
  server: Movable;
  request: PlacementRequest;
  found: Placement;
}

interface PictureOptions {
  /** One that its caller keeps: then only what changed since is read. It may have seen what this transaction wrote, so one that fails ends it. */
  picture?: HostPicture;
  awayMs?: number;
}

interface Asked {
  servers: readonly { server: Movable; request: PlacementRequest }[];
  hosts: readonly HostCapacity[];
  /** By image the hosts that hold it. */
  holders: ReadonlyMap<string, ReadonlySet<string>>;
  groups: ReadonlyMap<string, PlacementGroup>;
  /** What was final before is in it. */
  horizon: string;
}

/** All that placement, and a proof, is a function of. @throws CloudError `not_found` */
async function readAsked(
  tx: Tx,
  wishes: readonly MoveWish[],
  { picture = new HostPicture(), awayMs = hostAwayMs }: PictureOptions = {},
): Promise<Asked> {
  const all = await readAll(tx, wishes);
  const hints = await HintedHosts.read(
    tx,
    all.map(({ server }) => server),
  );
  const requests = all.map(({ server, request }) =>
    hints.of({ ...request, id: server.id, project_id: server.project_id, hints: server.hints }),
  );
  const promising = await withBandwidth(tx, await picture.read(tx, { awayMs }), requests);
  const { hosts, servers: tunnelled } = await withTunnels(tx, promising, requests);
  const images = new Set(all.flatMap(({ server }) => server.image_id ?? []));
  const groups = new Set(all.flatMap(({ request }) => request.server_group_id ?? []));
  const holders = images.size > 0 ? await imageHolders(tx, images) : new Map<string, ReadonlySet<string>>();
  const servers = all.map(({ server, anew }, index) => {
    const holding = holders.get(server.image_id ?? '');
    // Of an image whose places nobody knows nothing is said.
    const lost = anew && holding !== undefined && !hosts.some(({ id, seen_lately }) => seen_lately && holding.has(id));
    const { request: asked } = all[index]!;
    const unopenable = asked.volume_host_id == null ? null : server.unopenable;
    return { server, request: requestOf({ ...tunnelled[index]!, unopenable, ...(lost && { image_lost: true }) }) };
  });
  const { horizon } = picture;
  return { servers, hosts, holders, groups: groups.size > 0 ? await placementGroups(tx, groups) : new Map(), horizon };
}

/** For a proof: the hosts as they are to this server, and which is the best. Changes nothing. @throws CloudError `not_found` */
export async function findCandidates(tx: Tx, wish: MoveWish) {
  const { servers, hosts: all, holders, groups } = await readAsked(tx, [wish]);
  const { server, request } = servers[0]!;
  const holding = holders.get(server.image_id ?? '');
  const hosts = all.map((host): HostCapacity => ({ ...host, holds_image: holding?.has(host.id) ?? false }));
  const group = groups.get(request.server_group_id ?? '');
  return { request, hosts, group, found: place(request, hosts, group) };
}

/**
 * Decides where each of these servers can go now, one after the other, without changing anything. Each sees what those before it would take.
 * @throws CloudError `not_found`
 */
async function findTargets(
  tx: Tx,
  wishes: readonly MoveWish[],
  options: PictureOptions = {},
): Promise<(PlacedMove & Pick<Asked, 'horizon'>)[]> {
  const { servers, hosts, holders, groups, horizon } = await readAsked(tx, wishes, options);
  const round = new PlacementRound(hosts, holders, groups);
  const decided: (PlacedMove & Pick<Asked, 'horizon'>)[] = [];
  let since = performance.now();
  for (const { server, request } of servers) {
    decided.push({ server, request, found: placeOne(round, server, request), horizon });
    if (performance.now() - since < turnMs) continue;
    await turnOfOthers();
    since = performance.now();
  }
  return decided;
}

/** What hosts keep is for those that have a refuge, which go there; of others whoever may use it has what is left of it. */
function placeOne(round: PlacementRound, server: Movable, request: PlacementRequest): Placement {
  const { image_id: imageId, refuge_host_id: refugeId } = server;
  if (!request.uses_reserve || !round.keepsRoom) return round.place(request, imageId);
  const kept = round.placeInRefuge(request, imageId, refugeId);
  if (kept) return kept;
  const spared = round.place({ ...request, uses_reserve: false }, imageId);
  return spared.host ? spared : round.place(request, imageId);
}

/**
 * Decides where the server can go now, without changing anything: for a forecast. Whoever has placement's lock may rely on it.
 * @throws CloudError `not_found`
 */
export async function findTarget(tx: Tx, wish: MoveWish, options: PictureOptions = {}): Promise<PlacedMove> {
  const [found] = await findTargets(tx, [wish], options);
  return found!;
}

/**
 * Decides of servers that leave their hosts in this very transaction, and leaves a why-record of kind `move` for each. Nothing is claimed: whoever calls it
 * holds their rows and writes the new `host_id` before anybody else decides.
 * @throws CloudError `not_found`
 */
export async function placeMoves(tx: Tx, wishes: readonly MoveWish[], options: PictureOptions = {}) {
  await lockPlacement(tx);
  await releaseClaims(
    tx,
    wishes.map(({ serverId }) => serverId),
  );
  const decided = await findTargets(tx, wishes, options);
  await recordDecisions(
    tx,
    decided.map((one) => ({ ...one, kind: 'move' as const })),
  );
  return decided;
}

/**
 * Decides, claims what the server needs there, and leaves a why-record of kind `move`. Whoever calls it holds the server's row. Asked
 * again it decides anew, and the claim before is another's to take.
 * @throws CloudError `not_found`
 */
export async function placeMove(tx: Tx, wish: MoveWish, options: PictureOptions = {}): Promise<Placement> {
  await lockPlacement(tx);
  await releaseClaim(tx, wish.serverId);
  const [decided] = await findTargets(tx, [wish], options);
  const { server, request } = decided!;
  const found = await guarded(tx, wish, decided!.found);
  await recordDecisions(tx, [{ ...decided!, found, kind: 'move' }]);
  if (found.host) {
    const { vcpus, memory_mib, disk_gib, bandwidth } = request;
    await sql`insert into server_claim (server_id, host_id, vcpus, memory_mib, disk_gib, bandwidth)
      values (${server.id}, ${found.host.id}, ${vcpus}, ${memory_mib}, ${disk_gib}, ${bandwidth ? json(bandwidth) : null}::jsonb)`.execute(
      tx,
    );
  }
  return found;
}

/** What is kept for others is not taken, and neither is the last room for this one: unless it leaves a host that is lost or shall be empty. */
async function guarded(tx: Tx, { serverId, size, usesReserve }: MoveWish, found: Placement): Promise<Placement> {
  if (!found.host || usesReserve) return found;
  const without = await keepRefuges(tx, [{ serverId, hostId: found.host.id, size }]);
  return without.size > 0 ? withoutRefuge(found) : found;
}

/** The why-record of a move that found no host, where the transaction that asked has come to nothing. */
export async function recordRefusedMove(tx: Tx, wish: MoveWish): Promise<void> {
  const { server, request, found } = await findTarget(tx, wish);
  if (found.host) return;
  if (found.wake) await wakeHosts(tx, [found.wake], `server ${server.id} has nowhere else to go`);
  await recordDecisions(tx, [{ server, request, found, kind: 'move' }]);
}

/** Safe to repeat. */
export function releaseClaim(tx: Tx, serverId: string): Promise<void> {
  return releaseClaims(tx, [serverId]);
}

async function releaseClaims(tx: Tx, serverIds: readonly string[]): Promise<void> {
  await sql`delete from server_claim where ${isOneOf(sql`server_id`, serverIds)}`.execute(tx);
  await sql`delete from server_refuge r using server s where ${isOneOf(sql`s.id`, serverIds)} and r.server_id = s.id
    and r.lost_host_id is distinct from s.host_id`.execute(tx);
}
