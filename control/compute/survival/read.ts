/** The pictures that {@link survive} works on. SQL, nothing else. */
import { sql } from 'kysely';
import type { FailureDomains } from '../../host/tables.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { replicaAgeSql, replicaHostSql, replicaMomentSql } from '../../storage/replication/index.ts';
import { HintedHosts, type HostPicture, imageHolders, placementGroups } from '../placement/index.ts';
import { withBandwidth } from '../server/placing.ts';
import { hostAwayMs } from '../server/server.ts';
import { diskImage, placementNeeds, settledVolumeHost } from '../server/waiting.ts';
import type { Fleet, Loss, SurvivalServer } from './survive.ts';

/** Of `server s`. Those that are off, shelved or about to go are nobody's loss. */
const isMissed = sql`s.host_id is not null and s.desired_presence = 'present' and s.soft_deleted_at is null
  and s.desired_power in ('on', 'paused') and s.desired_shelve is null`;
const shallRestart = sql`s.evacuation_policy ->> 'restart' = 'elsewhere'`;

export interface FleetOptions {
  /** Those that nobody has asked to be restarted are left out: in a large cloud most of what there is to read. */
  onlyWanted: boolean;
}

/** Whose servers are read at once: what one value brings is parsed in one go. */
const hostsAtOnce = 10;

/** All hosts, and the servers of these. What placement would ask is read only of servers that shall be restarted. */
export async function readFleet(
  tx: Tx,
  { onlyWanted, hostIds, picture }: FleetOptions & { hostIds: readonly string[]; picture: HostPicture },
): Promise<Fleet> {
  const servers: SurvivalServer[] = [];
  for (let n = 0; n < hostIds.length; n += hostsAtOnce)
    servers.push(...(await readServers(tx, hostIds.slice(n, n + hostsAtOnce), { onlyWanted })));
  const wanted = servers.filter(({ restart }) => restart);
  const hints = await HintedHosts.read(tx, wanted);
  const groupIds = new Set(wanted.flatMap(({ server_group_id }) => server_group_id ?? []));
  const images = new Set(wanted.flatMap(({ image_id }) => image_id ?? []));
  return {
    hosts: await withBandwidth(tx, await picture.read(tx, { awayMs: hostAwayMs }), wanted),
    servers: servers.map((server) => hints.of(server)),
    groups: groupIds.size > 0 ? await placementGroups(tx, groupIds) : new Map(),
    holders: images.size > 0 ? await imageHolders(tx, images) : new Map(),
  };
}

/** Values of one row each, since many rows cost the reader more than the database. */
async function readServers(
  tx: Tx,
  hostIds: readonly string[],
  { onlyWanted }: FleetOptions,
): Promise<SurvivalServer[]> {
  const there = sql`${isOneOf(sql`s.host_id`, hostIds)} and ${isMissed}`;
  const { rows } = await sql<{
    others: [string, string, string, string][] | null;
    servers: SurvivalServer[] | null;
  }>`select
    ${
      onlyWanted
        ? sql`null`
        : sql`(select json_agg(json_build_array(s.id, s.name, s.project_id, s.host_id)) from server s
      where ${there} and not coalesce(${shallRestart}, false))`
    } as others,
    (select json_agg(each) from (
      select s.id, s.name, s.project_id, s.host_id, ${diskImage} as image_id, s.vcpus, s.memory_mib, s.disk_gib + s.local_gib as disk_gib,
        s.availability_zone, null as requested_host_id, s.server_group_id, coalesce(${replicaHostSql}, ${settledVolumeHost}) as volume_host_id, ${placementNeeds}, ${replicaAgeSql} as replica_age_seconds, ${replicaMomentSql} as replica_moment,
        (select refuge_host_id from server_refuge where server_id = s.id and lost_host_id = s.host_id) as refuge_host_id,
        true as restart, coalesce((s.evacuation_policy ->> 'priority')::integer, 0) as priority,
        coalesce(s.evacuation_policy ->> 'disk' = 'from_image', false) as disk_anew
      from server s where ${there} and ${shallRestart}) each) as servers`.execute(tx);
  const { others, servers } = rows[0]!;
  return [...(servers ?? []), ...(others ?? []).map(unwanted)];
}

const unwanted = ([id, name, project_id, host_id]: [string, string, string, string]): SurvivalServer => ({
  ...{ id, name, project_id, host_id, image_id: null, restart: false, priority: 0, disk_anew: false },
  ...{ vcpus: 0, memory_mib: 0, disk_gib: 0, availability_zone: null, requested_host_id: null },
});

/** Each host, and each failure domain that has several. */
export async function readLosses(db: Queryable): Promise<Loss[]> {
  const { rows } = await sql<{ id: string; name: string; failure_domains: FailureDomains }>`
    select id, name, failure_domains from host order by name, id`.execute(db);
  const domains = new Map<string, Loss & { hostIds: string[] }>();
  for (const { id, failure_domains } of rows) {
    for (const [kind, name] of Object.entries(failure_domains)) {
      const key = JSON.stringify([kind, name]);
      const known = domains.get(key) ?? { kind: kind as Loss['kind'], name, hostIds: [] };
      known.hostIds.push(id);
      domains.set(key, known);
    }
  }
  const together = [...domains.values()].sort((a, b) => (a.kind + a.name < b.kind + b.name ? -1 : 1));
  return [...rows.map(({ id, name }): Loss => ({ kind: 'host', name, hostIds: [id] })), ...together];
}
