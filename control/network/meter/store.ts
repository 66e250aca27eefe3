/** Readings of hosts, added up: SQL. */
import { sql } from 'kysely';
import type { MeterReading } from '../../../contract/host/index.ts';
import type { HostId } from '../../../contract/ids.ts';
import { parseCidr } from '../../kit/address.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { boxOf, counts } from '../metering-label/prefixes.ts';
import { countingLabels } from '../metering-label/use.ts';
import { advance, plus } from './advance.ts';
import type { Passed } from './meter.ts';

/**
 * Of one host, of what is there still. Each start of a guest is another one: where there are more, those of ports that have had a newer one there since make
 * room, for they count no more. What is beyond is not counted.
 */
const mostCounters = 500_000;

interface Known extends Passed {
  source: string;
  /** Null: what it counted for is gone. */
  meter_id: string | null;
}

/** One host's readings are recorded one after the other, whichever control process its stream was at before. */
export async function lockHost(tx: Tx, hostId: HostId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`meters ${hostId}`}, 0))`.execute(tx);
}

/**
 * Adds what is new; what is of nothing that there still is is left out. Call it with the host locked.
 * @param most for tests
 */
export async function addReadings(
  tx: Tx,
  hostId: HostId,
  readings: readonly MeterReading[],
  most = mostCounters,
): Promise<void> {
  const before = await knownReadings(
    tx,
    hostId,
    readings.map(({ source }) => source),
  );
  const [meterOf, labelsOf] = [await meteredBy(tx, readings), await labelledBy(tx, readings)];
  const fresh = readings.filter(({ source }) => !before.has(source));
  const isOurs = await mayBegin(tx, hostId, fresh, most);
  const grown = readings
    .filter((reading) => before.has(reading.source) || isOurs(reading))
    .flatMap((reading) => {
      const known = before.get(reading.source);
      // A counter is of what it was when it was told first: by its address another may have come, or it is behind another router since.
      const meter_id = known ? known.meter_id : meterOf(reading);
      const { last, more } = advance(known, passedOf(reading));
      return meter_id == null ? [] : [{ source: reading.source, meter_id, counted: labelsOf(reading), last, more }];
    })
    .filter(({ more, source }) => !before.has(source) || Object.values(more).some((count) => count > 0));
  if (grown.length === 0) return;
  const sums = new Map<string, Passed>();
  for (const { meter_id, counted, more } of grown) {
    // What labels counted is no second count of their router's, but its meter is where the reading is kept.
    if (counted) sums.set(meter_id, sums.get(meter_id) ?? nothing);
    for (const id of counted ?? [meter_id]) sums.set(id, plus(sums.get(id) ?? nothing, more));
  }
  const meters = [...sums].map(([id, more]) => ({ id, ...more }));
  const there = await holdMeters(
    tx,
    meters.map(({ id }) => id),
  );
  const known = Map.groupBy(meters, ({ id }) => there.has(id));
  if (known.has(true)) await addTo(tx, known.get(true)!);
  if (known.has(false)) await begin(tx, known.get(false)!);
  const lasts = grown.map(({ source, meter_id, last }) => ({ source, meter_id, ...last }));
  await sql`delete from meter_reading where host_id = ${hostId} and meter_id is null
    and updated_at < now() - interval '1 hour'`.execute(tx);
  await sql`insert into meter_reading as r (host_id, source, meter_id, rx_bytes, rx_packets, tx_bytes, tx_packets)
    select ${hostId}::uuid, s.source, m.id, s.rx_bytes, s.rx_packets, s.tx_bytes, s.tx_packets
      from jsonb_to_recordset(${json(lasts)}::jsonb) as s (${columns('source text, meter_id uuid')}) join meter m on m.id = s.meter_id
    on conflict (host_id, source) do update set rx_bytes = excluded.rx_bytes, rx_packets = excluded.rx_packets,
      tx_bytes = excluded.tx_bytes, tx_packets = excluded.tx_packets, updated_at = now()`.execute(tx);
}

/**
 * Which counters may begin on the host. A guest's port is counted where it is, or comes from or goes to: another host's word on it would be on another project's
 * bill. One that nobody has just now may have left the host a moment ago. Of routers and floating IPs any host may be the gateway.
 */
async function mayBegin(
  tx: Tx,
  hostId: HostId,
  fresh: readonly MeterReading[],
  most: number,
): Promise<(reading: MeterReading) => boolean> {
  if (fresh.length === 0) return () => true;
  const ports = fresh.flatMap(({ portId }) => portId ?? []);
  const { rows } = await sql<{ known: number; elsewhere: string[] }>`
    select (select count(*) from meter_reading where host_id = ${hostId})::integer as known,
      array(select p.id from port p where p.id = any(${ports}::uuid[])
        and p.host_id <> ${hostId} and p.migrating_to is distinct from ${hostId}::uuid
        and not exists (select from meter_reading r where r.meter_id = p.id and r.host_id = ${hostId})
        and not exists (select from server_absence a where a.host_id = ${hostId} and a.server_id::text = p.device_id)) as elsewhere`.execute(
    tx,
  );
  const [{ known, elsewhere }] = rows as [(typeof rows)[0]];
  const tooMany = known + fresh.length - most;
  if (tooMany > 0 && (await forgetEnded(tx, hostId, Math.max(tooMany, most / 10))) < tooMany) return () => false;
  const not = new Set(elsewhere);
  return ({ portId }) => portId === undefined || !not.has(portId);
}

/** Of a port one counter counts at a time. The last word on one that has ended may still come: those that have said nothing for longest go. */
async function forgetEnded(tx: Tx, hostId: HostId, count: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from meter_reading where host_id = ${hostId} and source in (
    select source from (select r.source, r.updated_at, rank() over (partition by r.meter_id order by r.updated_at desc) as place
      from meter_reading r join meter m on m.id = r.meter_id and m.port_id is not null where r.host_id = ${hostId}) ranked
    where place > 1 order by updated_at limit ${Math.ceil(count)})`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

interface Sum extends Passed {
  id: string;
}

/** Which of these meters are there; held, in one order, since two hosts may have readings of one. */
async function holdMeters(tx: Tx, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ id: string }>`select id from meter where id = any(${[...ids]}::uuid[])
    order by id for update`.execute(tx);
  return new Set(rows.map(({ id }) => id));
}

const addTo = (tx: Tx, held: readonly Sum[]) =>
  sql`update meter m set rx_bytes = ${sum('rx_bytes', 's')}, rx_packets = ${sum('rx_packets', 's')},
      tx_bytes = ${sum('tx_bytes', 's')}, tx_packets = ${sum('tx_packets', 's')}, updated_at = now()
    from jsonb_to_recordset(${json(held)}::jsonb) as s (${columns('id uuid')}) where m.id = s.id`.execute(tx);

/**
 * What they are of is held too: who is deleting one of them is waited for, and that one has no meter. A reference alone would refuse all of
 * the host's readings for it.
 */
const begin = (tx: Tx, missing: readonly Sum[]) =>
  sql`with s as materialized (select * from jsonb_to_recordset(${json(missing)}::jsonb) as s (${columns('id uuid')})),
      p as materialized (${held('port')}), f as materialized (${held('floating_ip')}), r as materialized (${held('router')}),
      l as materialized (${held('metering_label')})
    insert into meter as m (id, port_id, floating_ip_id, router_id, metering_label_id, project_id, rx_bytes, rx_packets, tx_bytes, tx_packets)
    select s.id, p.id, f.id, r.id, l.id, coalesce(p.project_id, f.project_id, r.project_id, l.project_id),
      s.rx_bytes, s.rx_packets, s.tx_bytes, s.tx_packets
      from s left join p on p.id = s.id left join f on f.id = s.id left join r on r.id = s.id left join l on l.id = s.id
      where coalesce(p.id, f.id, r.id, l.id) is not null order by s.id
    on conflict (id) do update set rx_bytes = ${sum('rx_bytes')}, rx_packets = ${sum('rx_packets')},
      tx_bytes = ${sum('tx_bytes')}, tx_packets = ${sum('tx_packets')}, updated_at = now()`.execute(tx);

const held = (table: string) =>
  sql`select id, project_id from ${sql.table(table)} where id in (select id from s) order by id for key share`;

const nothing: Passed = { rx_bytes: 0, rx_packets: 0, tx_bytes: 0, tx_packets: 0 };

const passedOf = ({ rxBytes, rxPackets, txBytes, txPackets }: MeterReading): Passed => ({
  ...{ rx_bytes: rxBytes, rx_packets: rxPackets, tx_bytes: txBytes, tx_packets: txPackets },
});

const columns = (first: string) =>
  sql.raw(`${first}, rx_bytes bigint, rx_packets bigint, tx_bytes bigint, tx_packets bigint`);

/** Bounded by what JavaScript counts exactly. */
const sum = (column: string, more = 'excluded') =>
  sql`least(${sql.lit(Number.MAX_SAFE_INTEGER)}, ${sql.ref(`m.${column}`)} + ${sql.ref(`${more}.${column}`)})`;

async function knownReadings(db: Queryable, hostId: HostId, sources: readonly string[]): Promise<Map<string, Known>> {
  const { rows } =
    await sql<Known>`select source, meter_id, rx_bytes, rx_packets, tx_bytes, tx_packets from meter_reading
    where host_id = ${hostId} and source = any(${sources}::text[])`.execute(db);
  return new Map(rows.map((row) => [row.source, row]));
}

/** Of a floating IP hosts know the address, and behind which router it is: it is looked up. Undefined: it is no more. */
async function meteredBy(
  db: Queryable,
  readings: readonly MeterReading[],
): Promise<(reading: MeterReading) => string | undefined> {
  const asked = readings.flatMap(({ routerId, floatingIp }) =>
    routerId && floatingIp ? [{ router_id: routerId, floating_ip: floatingIp }] : [],
  );
  const { rows } = asked.length === 0 ? { rows: [] } : await floatingIps(db, asked);
  const ids = new Map(rows.map(({ id, router_id, floating_ip }) => [`${router_id} ${floating_ip}`, id]));
  return ({ portId, routerId, floatingIp, counted }) =>
    counted?.routerId ?? portId ?? (floatingIp === undefined ? routerId : ids.get(`${routerId} ${floatingIp}`));
}

/** The labels that count what a reading of a router's traffic says; undefined: it is no such reading. */
async function labelledBy(
  db: Queryable,
  readings: readonly MeterReading[],
): Promise<(reading: MeterReading) => string[] | undefined> {
  const routers = readings.flatMap(({ counted }) => (counted ? [counted.routerId] : []));
  const labels = await countingLabels(db, [...new Set(routers)]);
  return ({ counted }) => {
    if (counted === undefined) return undefined;
    // What the contract lets through and is no prefix here is nobody's.
    if (!parseCidr(counted.source) || !parseCidr(counted.destination)) return [];
    const box = boxOf(counted);
    return (labels.get(counted.routerId) ?? []).filter(({ rules }) => counts(rules, box)).map(({ id }) => id);
  };
}

const floatingIps = (db: Queryable, asked: object[]) =>
  sql<{
    id: string;
    router_id: string;
    floating_ip: string;
  }>`select f.id, f.router_id, host(f.floating_ip) as floating_ip
    from jsonb_to_recordset(${json(asked)}::jsonb) as s (router_id uuid, floating_ip inet)
      join floating_ip f on f.floating_ip = s.floating_ip and f.router_id = s.router_id`.execute(db);
