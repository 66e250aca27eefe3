/**
 * Room on another host for servers that shall be restarted elsewhere, kept where administrators ask for it (`reserve_policy`): decided in the transaction that gives a server its host, moves
 * it, lets it grow or lets it be wanted elsewhere, under placement's lock, so no two promise the same room. What is kept is a row (`server_refuge`), which ends with the server's stay on its host.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { replicaHostSql } from '../../storage/replication/index.ts';
import {
  findRefuge,
  HintedHosts,
  type HostCapacity,
  type HostHints,
  HostPicture,
  hostHintsSql,
  type Placement,
  type PlacementRequest,
  placementGroups,
  type Room,
  requestOf,
} from '../placement/index.ts';
import { hostAwayMs } from './server.ts';
import { isAwaited, placementNeeds, settledVolumeHost } from './waiting.ts';

/** Of `server s`: it could be restarted elsewhere, and shall be, so its room is kept. What can't be, for its disk or its volumes are on its host alone, needs none. */
export const needsRefuge = sql`s.evacuation_policy ->> 'restart' = 'elsewhere' and s.desired_presence = 'present' and s.soft_deleted_at is null
  and ${isAwaited} and (s.image_id is null or s.evacuation_policy ->> 'disk' = 'from_image')
  and (${settledVolumeHost} is null or ${replicaHostSql} is not null)`;

export interface RefugeAsked {
  serverId: string;
  /** Where it is, or shall be. */
  hostId: string;
  /** What it shall be there; absent: what it is. */
  size?: Room | undefined;
}

interface Guarded extends PlacementRequest {
  id: string;
  project_id: string;
  hints: HostHints | null;
  host_id: string | null;
}

/**
 * Each of these servers has room elsewhere from now on in case that host is lost, if it needs it. To be asked under placement's lock.
 * @param hosts as they are after all that was decided before; absent: as the database has them
 * @returns those for which there is none
 */
export async function keepRefuges(
  tx: Tx,
  all: readonly RefugeAsked[],
  hosts?: readonly HostCapacity[],
): Promise<Set<string>> {
  const without = new Set<string>();
  const wanted = await readGuarded(tx, all);
  if (wanted.length === 0) return without;
  const groupIds = new Set(wanted.flatMap(({ server }) => server.server_group_id ?? []));
  const groups = groupIds.size > 0 ? await placementGroups(tx, groupIds) : undefined;
  const hints = await HintedHosts.read(
    tx,
    wanted.map(({ server }) => server),
  );
  // What refuges change of it is read anew for each.
  const read = hosts ?? (await new HostPicture().read(tx, { awayMs: hostAwayMs }));
  for (const { server, asked } of wanted) {
    const { hostId, size } = asked;
    await sql`delete from server_refuge where server_id = ${server.id} and lost_host_id = ${hostId}`.execute(tx);
    const picture = await withKept(tx, read);
    const { lost, kept } = await readLoss(tx, hostId);
    const { away_from } = hints.of(server);
    const request = requestOf({
      ...server,
      ...size,
      ...(away_from && { away_from }),
      moving: { server_id: server.id, host_id: server.host_id },
    });
    const leaving = server.host_id === null || server.host_id === hostId ? undefined : roomOf(server, server.host_id);
    const group = groups?.get(server.server_group_id ?? '');
    const refuge = findRefuge({ request, host_id: hostId, lost, kept, leaving }, picture, group);
    if (!refuge) without.add(server.id);
    else
      await sql`insert into server_refuge (server_id, lost_host_id, refuge_host_id, vcpus, memory_mib, disk_gib)
        values (${server.id}, ${hostId}, ${refuge.id}, ${request.vcpus}, ${request.memory_mib}, ${request.disk_gib})`.execute(
        tx,
      );
  }
  return without;
}

/** The same of one, where it is. @throws CloudError `no_capacity` */
export async function requireRefuge(tx: Tx, asked: RefugeAsked): Promise<void> {
  const without = await keepRefuges(tx, [asked]);
  if (without.size > 0) throw new CloudError('no_capacity', 'no_refuge', { id: asked.serverId });
}

/** What its decision says of a server that a host would take, and for which there would be no other one. */
export const withoutRefuge = (found: Placement): Placement => ({
  ...found,
  host: null,
  soon: false,
  message:
    'hosts keep room so that the loss of one is survived, and for this server there would be none if its host were lost',
  fix: 'use a smaller flavor, delete a server, or let the server not be restarted elsewhere',
});

const roomOf = ({ vcpus, memory_mib, disk_gib }: Room, host_id: string) => ({ host_id, vcpus, memory_mib, disk_gib });

/** Those that need a refuge; none where nobody has asked for any to be kept. */
async function readGuarded(tx: Tx, all: readonly RefugeAsked[]): Promise<{ server: Guarded; asked: RefugeAsked }[]> {
  if (all.length === 0) return [];
  const { rows } =
    await sql<Guarded>`select s.id, s.project_id, ${hostHintsSql} as hints, s.host_id, s.vcpus, s.memory_mib, s.disk_gib + s.local_gib as disk_gib,
      s.availability_zone, null as requested_host_id, s.server_group_id, ${replicaHostSql} as volume_host_id, ${placementNeeds}
    from reserve_policy p join server s on p.survive <> 'none'
    where ${isOneOf(
      sql`s.id`,
      all.map(({ serverId }) => serverId),
    )} and ${needsRefuge}`.execute(tx);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return all.flatMap((asked) => {
    const server = byId.get(asked.serverId);
    return server ? [{ server, asked }] : [];
  });
}

/** What hosts keep, as of this statement: a picture that was read before does not know what was decided since. */
async function withKept(tx: Tx, hosts: readonly HostCapacity[]): Promise<HostCapacity[]> {
  const { rows } = await sql<
    Room & { host_id: string }
  >`select host_id, vcpus, memory_mib, disk_gib from host_reserve`.execute(tx);
  const kept = new Map(rows.map(({ host_id, ...room }) => [host_id, room]));
  return hosts.map((host) => ({ ...host, kept: kept.get(host.id) ?? null }));
}

/** Who is lost with a host, and what others keep for the worst of its losses already. */
async function readLoss(tx: Tx, hostId: string) {
  const { rows } = await sql<{ lost: string[]; kept: Record<string, Room> | null }>`
    with loss as materialized (select losses_of_host(${hostId}::uuid) as key),
    lost as materialized (select h.id, own.key from host h, losses_of_host(h.id) as own (key)
      where own.key in (select key from loss))
    select array(select distinct id::text from lost) as lost,
      (select json_object_agg(refuge_host_id, json_build_object('vcpus', vcpus, 'memory_mib', memory_mib, 'disk_gib', disk_gib))
        from (select refuge_host_id, max(vcpus) as vcpus, max(memory_mib) as memory_mib, max(disk_gib) as disk_gib
          from (select r.refuge_host_id, sum(r.vcpus) as vcpus, sum(r.memory_mib) as memory_mib, sum(r.disk_gib) as disk_gib
            from lost join server_refuge r on r.lost_host_id = lost.id group by r.refuge_host_id, lost.key) by_loss
          group by refuge_host_id) each) as kept`.execute(tx);
  const { lost, kept } = rows[0]!;
  return { lost: new Set(lost), kept: new Map(Object.entries(kept ?? {})) };
}
