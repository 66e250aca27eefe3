/** SQL about hosts. Nothing else. */
import { sql } from 'kysely';
import type { HostBandwidth, HostFacts } from '../../contract/host/index.ts';
import type { HostId, ImageId, ServerId } from '../../contract/ids.ts';
import type { Queryable } from '../kit/database/database.ts';
import { isOneOf, rowsOf } from '../kit/database/one-of.ts';
import type { HostEndpoint } from './answers.ts';
import { capacityColumns } from './capacity.ts';
import type { HostRow } from './tables.ts';

/**
 * The stream `connectionId` speaks for the host from now on. False when no such host is registered.
 * @param leaseMs what it is going to be lent for; null: it is of a protocol by which nobody knows when its lease ends
 */
export async function connectHost(
  db: Queryable,
  hostId: HostId,
  connectionId: string,
  facts: HostFacts,
  leaseMs: number | null,
): Promise<boolean> {
  const { rows } =
    await sql`update host set connected = true, connection_id = ${connectionId}, facts = ${JSON.stringify(facts)},
      ${capacityColumns(facts)},
      physical_networks = coalesce(${facts.physicalNetworks ?? null}::text[], physical_networks),
      last_seen_at = now(), updated_at = now(), lease_ends_at = ${leaseEnd(leaseMs)}, powered_off_at = null, left_at = null,
      connected_at = now()
    where id = ${hostId} returning id`.execute(db);
  return rows.length === 1;
}

/** What its cards give from now on. What it has promised it keeps, also where it says no more of a network. */
export async function recordBandwidths(
  db: Queryable,
  hostId: HostId,
  bandwidths: readonly HostBandwidth[],
): Promise<void> {
  const rows = bandwidths.map(({ physicalNetwork, egressKbps: egress, ingressKbps: ingress }) => ({
    ...{ physical_network: physicalNetwork ?? '', egress, ingress },
  }));
  await sql`with given as (select physical_network, max(egress) as egress, max(ingress) as ingress
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as g (physical_network text, egress bigint, ingress bigint) group by physical_network),
    gone as (update host_bandwidth set egress_kbps = 0, ingress_kbps = 0
      where host_id = ${hostId} and not physical_network in (select physical_network from given))
    insert into host_bandwidth as b (host_id, physical_network, egress_kbps, ingress_kbps)
    select ${hostId}::uuid, physical_network, egress, ingress from given
    on conflict (host_id, physical_network) do update set egress_kbps = excluded.egress_kbps, ingress_kbps = excluded.ingress_kbps
    where (b.egress_kbps, b.ingress_kbps) <> (excluded.egress_kbps, excluded.ingress_kbps)`.execute(db);
}

/** Another connection speaks for the host: what was said on this one before counts no more. */
export class StreamReplaced extends Error {}

/**
 * For a transaction that records what was said on a stream. Its process may have been frozen since, for longer than any transaction lives, while
 * the host said newer things elsewhere.
 * @throws StreamReplaced
 */
export async function requireCurrent(db: Queryable, hostId: HostId, connectionId: string): Promise<void> {
  const { rows } = await sql`select from host where id = ${hostId} and connection_id = ${connectionId}`.execute(db);
  if (rows.length === 0) throw new StreamReplaced('another connection speaks for the host');
}

export interface StreamEnd {
  connectionId: string;
  /** The host's process ended in order, and said so. */
  left: boolean;
}

/** An older stream's end changes nothing. Rows are locked in one order by all who touch several: no two wait for each other. */
export async function disconnectHosts(db: Queryable, ends: readonly StreamEnd[]): Promise<void> {
  const left = ends.flatMap((end) => (end.left ? [end.connectionId] : []));
  await sql`
    with ended as materialized (
      select id, connection_id = any(${left}::uuid[]) as has_left from host
      where connection_id = any(${ends.map(({ connectionId }) => connectionId)}::uuid[]) order by id for no key update)
    update host h set connected = false, connection_id = null, last_seen_at = now(), updated_at = now(),
      left_at = case when ended.has_left then now() end
    from ended where h.id = ended.id`.execute(db);
}

/** Never sooner than what a control process before has said. */
const leaseEnd = (leaseMs: number | null) =>
  leaseMs === null
    ? sql`null`
    : sql`greatest(lease_ends_at, now() + ${leaseMs}::double precision * interval '1 millisecond')`;

/**
 * Notes that these streams live, and that hosts whose stream nobody has vouched for are away: their control process
 * died without a word. Their connection_id stays: a stream that was silent only because control could not write revives.
 * @param asking of these the ones whose hosts have asked for their lease
 * @returns of those the ones that still speak for their host: whose lease the database now knows (`lent`), and whose lease had ended before, or who were said to be without power: what was
 * theirs may be others' since, and they must hear of it first (`lapsed`)
 */
export async function recordLiveness(
  db: Queryable,
  { alive, asking }: { alive: readonly string[]; asking: readonly string[] },
  { silentMs, leaseMs }: { silentMs: number; leaseMs: number },
): Promise<{ lent: Set<string>; lapsed: Set<string> }> {
  const { rows } = await sql<{ id: string; lapsed: boolean }>`
    with held as materialized (
      select id, connection_id, lease_ends_at, powered_off_at from host
      where connection_id = any(${[...alive]}::uuid[]) order by id for no key update),
    -- Who waited for the rows looks at the clock behind that: meanwhile the lease may have ended, and what was the host's be another's.
    mine as materialized (select id, connection_id = any(${[...asking]}::uuid[]) as asks,
      powered_off_at is not null or coalesce(lease_ends_at < clock_timestamp(), false) as lapsed from held),
    living as (update host h set connected = true, last_seen_at = now(),
        lease_ends_at = case when mine.asks and not mine.lapsed then ${leaseEnd(leaseMs)} else lease_ends_at end
      from mine where h.id = mine.id returning h.connection_id as id, mine.asks, mine.lapsed),
    silent as (update host set connected = false, updated_at = now()
      where connected and last_seen_at < now() - ${silentMs}::double precision * interval '1 millisecond'
        and not connection_id = any(${[...alive]}::uuid[]))
    select id, lapsed from living where asks`.execute(db);
  const ids = (lapsed: boolean) => new Set(rows.filter((row) => row.lapsed === lapsed).map(({ id }) => id));
  return { lent: ids(false), lapsed: ids(true) };
}

/** What is known of a server's place: its owner, and the hosts that must hear that it is not theirs. */
export interface Whereabouts {
  /** The hosts that have a document of it, and under which epoch: its owner, and during a migration another one. */
  epochs: ReadonlyMap<HostId, number>;
  absences: ReadonlyMap<HostId, Absence>;
}

export interface Absence {
  id: ServerId;
  epoch: number;
  generation: number;
}

const nowhere: Whereabouts = { epochs: new Map(), absences: new Map() };

/**
 * Whose each server is, by epoch, and whose it is not any more; as one statement sees it. An epoch belongs to one owner for ever, so
 * it may be compared across statements.
 */
export async function whereaboutsOf(
  db: Queryable,
  serverIds: readonly ServerId[],
): Promise<(id: ServerId) => Whereabouts> {
  if (serverIds.length === 0) return () => nowhere;
  const { rows } = await sql<{
    id: ServerId;
    host_id: HostId | null;
    epoch: number | null;
    other: { host_id: HostId; epoch: number } | null;
    absences: (Absence & { host_id: HostId })[];
  }>`
    select wanted.id, s.host_id, s.epoch,
      case when s.desired_move is not null then (select json_build_object('host_id', m.other_host_id, 'epoch', m.other_epoch)
        from server_migration m where m.server_id = s.id and m.other_host_id is not null) end as other,
      coalesce((select json_agg(json_build_object('id', a.server_id, 'host_id', a.host_id, 'epoch', a.epoch,
        'generation', a.generation)) from server_absence a where a.server_id = wanted.id), '[]') as absences
    from ${rowsOf({ values: serverIds, type: 'uuid' })} as wanted (id) left join server s on s.id = wanted.id`.execute(
    db,
  );
  const found = new Map(
    rows.map(({ id, host_id: hostId, epoch, other, absences }): [ServerId, Whereabouts] => [
      id,
      {
        epochs: new Map([
          ...(hostId !== null && epoch !== null ? [[hostId, epoch] as const] : []),
          ...(other ? [[other.host_id, other.epoch] as const] : []),
        ]),
        absences: new Map(absences.map(({ host_id, ...absence }) => [host_id, absence])),
      },
    ]),
  );
  return (id) => found.get(id) ?? nowhere;
}

/** All that each host must still hear of. */
export async function absencesFor(
  db: Queryable,
  hostIds: readonly HostId[],
): Promise<(hostId: HostId) => readonly Absence[]> {
  const { rows } = await sql<Absence & { host_id: HostId }>`select host_id, server_id as id, epoch, generation
    from server_absence where ${isOneOf(sql`host_id`, hostIds)} order by server_id`.execute(db);
  const byHost = Map.groupBy(rows, (row) => row.host_id);
  return (hostId) => byHost.get(hostId) ?? [];
}

/** The host has nothing left of these, as of the epoch and generation that it names. Answers those of which it need not hear any more. */
export async function confirmAbsences(db: Queryable, hostId: HostId, told: readonly Absence[]): Promise<Set<ServerId>> {
  const { rows } = await sql<{ id: ServerId }>`
    with told as (
      select * from jsonb_to_recordset(${JSON.stringify(told)}::jsonb) as t(id uuid, epoch bigint, generation bigint)),
    gone as (
      delete from server_absence a using told t
      where a.host_id = ${hostId} and a.server_id = t.id and (a.epoch, a.generation) <= (t.epoch, t.generation))
    select t.id from told t
    where not exists (select from server s where s.id = t.id and s.host_id = ${hostId})
      and not exists (select from server_migration m where m.server_id = t.id and m.other_host_id = ${hostId})
      and not exists (select from server_absence a where a.host_id = ${hostId} and a.server_id = t.id
        and (a.epoch, a.generation) > (t.epoch, t.generation))`.execute(db);
  return new Set(rows.map(({ id }) => id));
}

/** The images whose bytes each host shall keep; a row precedes its bytes, so uploads under way are among them. */
export async function imagesOn(db: Queryable, hostIds: readonly HostId[]): Promise<(hostId: HostId) => ImageId[]> {
  const { rows } = await sql<{ host_id: HostId; images: ImageId[] }>`
    select host_id, json_agg(image_id order by image_id) as images from image_location join image on image.id = image_id
    where ${isOneOf(sql`host_id`, hostIds)} and desired_presence = 'present' group by host_id`.execute(db);
  const byHost = new Map(rows.map(({ host_id, images }) => [host_id, images]));
  return (hostId) => byHost.get(hostId) ?? [];
}

/** Of these images, which host shall keep which; as 'image host'. */
export async function placesOf(db: Queryable, imageIds: readonly ImageId[]): Promise<Set<string>> {
  const { rows } = await sql<{ image_id: string; host_id: string }>`
    select image_id, host_id from image_location join image on image.id = image_id
    where ${isOneOf(sql`image_id`, imageIds)} and desired_presence = 'present'`.execute(db);
  return new Set(rows.map((row) => `${row.image_id} ${row.host_id}`));
}

export async function findHost(db: Queryable, hostId: HostId): Promise<HostRow | undefined> {
  return db.selectFrom('host').selectAll().where('id', '=', hostId).executeTakeFirst();
}

/** Where the service of a host answers, by what the table is called in the query; empty where it has told none. */
export const endpointUrl = (host: string) => sql<string>`coalesce(${sql.ref(host)}.facts ->> 'url', '')`;

/** A {@link HostEndpoint}, for a query that has `host` among its tables. */
export const endpointColumns = sql`host.id, ${endpointUrl('host')} as url`;

/** Of all hosts that have told one. */
export async function listEndpoints(db: Queryable): Promise<HostEndpoint[]> {
  const { rows } = await sql<HostEndpoint>`select ${endpointColumns} from host where facts ? 'url'`.execute(db);
  return rows;
}

/** Undefined where the host is unknown or has never connected. */
export async function endpointOf(db: Queryable, hostId: string): Promise<HostEndpoint | undefined> {
  const { rows } = await sql<HostEndpoint>`select ${endpointColumns} from host
    where id = ${hostId} and facts ? 'url'`.execute(db);
  return rows[0];
}
