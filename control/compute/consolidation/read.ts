/** Which hosts are not needed, over a picture of all (plan.ts). Reads alone. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { HintedHosts, HostPicture, imageHolders, placementGroups } from '../placement/index.ts';
import { withBandwidth } from '../server/placing.ts';
import { hostAwayMs } from '../server/server.ts';
import { placementNeeds, volumeHost } from '../server/waiting.ts';
import { type ConsolidatedServer, type Consolidation, findSleep, seeZones } from './plan.ts';

export interface ConsolidationTiming {
  /** For so long a host must not be needed before it is emptied. */
  holdMs: number;
  /** One that has come lately stays for so long. */
  restMs: number;
}

export const timingOf = (afterSeconds = 600): ConsolidationTiming => ({
  ...{ holdMs: 1000 * afterSeconds, restMs: 3000 * afterSeconds },
});

/** Of `host h`: what is there and nowhere else; null: nothing. Asked again before it is shut down: it may have come while the host was emptied. */
export const keepsBecause = sql<string | null>`(case
  when exists (select from control_process c where c.machine = h.name) then 'has_control'
  when exists (select from volume where host_id = h.id or pool_id = any(array(select id from storage_pool where host_id = h.id)))
    or exists (select from volume_layer where host_id = h.id and desired_presence = 'present') then 'has_volumes'
  when exists (select from quarantined_server where host_id = h.id)
    or exists (select from quarantined_layer where host_id = h.id) then 'in_quarantine'
  when exists (select from image_location l join image i on i.id = l.image_id where l.host_id = h.id and i.desired_presence = 'present'
    and not exists (select from image_location o join host w on w.id = o.host_id
      where o.image_id = l.image_id and o.host_id <> h.id and w.connected)) then 'only_one_with_an_image'
  when exists (select from unnest(h.physical_networks) p (name) where not exists (select from host o
    where o.id <> h.id and o.connected and o.enabled and p.name = any(o.physical_networks))) then 'only_one_on_a_network' end)`;

/** Of `host h`: why it may not sleep; null: it may. */
const staysBecause = (restMs: number) => sql<string | null>`coalesce(case
  when not exists (select from host_bmc b where b.host_id = h.id and b.contradicted_at is null) then 'no_bmc'
  when (h.facts ->> 'machineUuid' is null or exists (select from host o where o.id <> h.id
    and o.facts ->> 'machineUuid' = h.facts ->> 'machineUuid'))
    and not exists (select from host_bmc b where b.host_id = h.id and b.accepted is not null) then 'no_uuid_of_its_own' end,
  ${keepsBecause}, case
  when h.connected_at > now() - ${restMs}::double precision * interval '1 millisecond' then 'came_lately'
  when exists (select from server s where s.host_id = h.id and (s.observed_state not in ('running', 'paused') or s.desired_move is not null
    or s.desired_power not in ('on', 'paused') or s.desired_presence <> 'present' or s.soft_deleted_at is not null or s.desired_shelve is not null
    or s.fault is not null or s.hardware ? 'tpm'))
    or exists (select from server_migration where other_host_id = h.id) then 'server_that_stays' end)`;

/** @param refused hosts that were tried in vain lately */
export async function readConsolidation(
  tx: Tx,
  { restMs, refused = [] }: Pick<ConsolidationTiming, 'restMs'> & { refused?: Iterable<string> },
): Promise<Consolidation> {
  const picture = await new HostPicture().read(tx, { awayMs: hostAwayMs });
  const { rows } = await sql<{
    id: string;
    why: string;
  }>`select id, why from (select h.id, ${staysBecause(restMs)} as why
    from host h where h.enabled and h.connected) each where why is not null`.execute(tx);
  const staying = new Map(rows.map(({ id, why }) => [id, why]));
  for (const id of refused) staying.set(id, 'refused_lately');
  const { candidates, stays, ...seen } = seeZones(picture, staying);
  if (candidates.length === 0) return { ...seen, stays, sleep: null };
  const found = await readServers(
    tx,
    candidates.map(({ host }) => host.id),
  );
  const hints = await HintedHosts.read(tx, found);
  const servers = found.map((server) => hints.of(server));
  const groupIds = new Set(servers.flatMap(({ server_group_id }) => server_group_id ?? []));
  const images = new Set(servers.flatMap(({ image_id }) => image_id ?? []));
  const fleet = {
    hosts: await withBandwidth(tx, picture, servers),
    servers,
    groups: groupIds.size > 0 ? await placementGroups(tx, groupIds) : new Map(),
    holders: images.size > 0 ? await imageHolders(tx, images) : new Map(),
  };
  const { sleep, stays: tried } = await findSleep(fleet, candidates);
  return { ...seen, sleep, stays: [...stays, ...tried] };
}

async function readServers(tx: Tx, hostIds: readonly string[]): Promise<ConsolidatedServer[]> {
  const { rows } =
    await sql<ConsolidatedServer>`select s.id, s.name, s.project_id, s.host_id, s.image_id, s.vcpus, s.memory_mib,
      s.disk_gib + s.local_gib as disk_gib, s.availability_zone, null as requested_host_id, s.server_group_id,
      ${volumeHost} as volume_host_id, ${placementNeeds}
    from server s where ${isOneOf(sql`s.host_id`, hostIds)} order by s.id`.execute(tx);
  return rows;
}
