/** Readings of hosts, added up: SQL. */
import { sql } from 'kysely';
import type { MeterReading } from '../../../contract/host/index.ts';
import type { HostId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { advance, plus } from './advance.ts';
import type { Passed } from './meter.ts';

interface Known extends Passed {
  source: string;
}

/** One host's readings are recorded one after the other, whichever control process its stream was at before. */
export async function lockHost(tx: Tx, hostId: HostId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`meters ${hostId}`}, 0))`.execute(tx);
}

/** Adds what is new; what is no port's any more is left out. Call it with the host locked. */
export async function addReadings(tx: Tx, hostId: HostId, readings: readonly MeterReading[]): Promise<void> {
  const before = await knownReadings(
    tx,
    hostId,
    readings.map(({ source }) => source),
  );
  const grown = readings
    .map((reading) => {
      const { last, more } = advance(before.get(reading.source), passedOf(reading));
      return { source: reading.source, meter_id: reading.portId as string, last, more };
    })
    .filter(({ more, source }) => !before.has(source) || Object.values(more).some((count) => count > 0));
  if (grown.length === 0) return;
  const sums = new Map<string, Passed>();
  for (const { meter_id: id, more } of grown) sums.set(id, plus(sums.get(id) ?? nothing, more));
  const meters = [...sums].map(([id, more]) => ({ id, ...more }));
  // In one order, since two hosts may have readings of one meter.
  await sql`insert into meter as m (id, port_id, project_id, rx_bytes, rx_packets, tx_bytes, tx_packets)
    select p.id, p.id, p.project_id, s.rx_bytes, s.rx_packets, s.tx_bytes, s.tx_packets
      from jsonb_to_recordset(${json(meters)}::jsonb) as s (${columns('id uuid')}) join port p on p.id = s.id order by p.id
    on conflict (id) do update set rx_bytes = ${sum('rx_bytes')}, rx_packets = ${sum('rx_packets')},
      tx_bytes = ${sum('tx_bytes')}, tx_packets = ${sum('tx_packets')}, updated_at = now()`.execute(tx);
  const lasts = grown.map(({ source, meter_id, last }) => ({ source, meter_id, ...last }));
  await sql`insert into meter_reading as r (host_id, source, meter_id, rx_bytes, rx_packets, tx_bytes, tx_packets)
    select ${hostId}::uuid, s.source, m.id, s.rx_bytes, s.rx_packets, s.tx_bytes, s.tx_packets
      from jsonb_to_recordset(${json(lasts)}::jsonb) as s (${columns('source text, meter_id uuid')}) join meter m on m.id = s.meter_id
    on conflict (host_id, source) do update set rx_bytes = excluded.rx_bytes, rx_packets = excluded.rx_packets,
      tx_bytes = excluded.tx_bytes, tx_packets = excluded.tx_packets, updated_at = now()`.execute(tx);
}

const nothing: Passed = { rx_bytes: 0, rx_packets: 0, tx_bytes: 0, tx_packets: 0 };

const passedOf = ({ rxBytes, rxPackets, txBytes, txPackets }: MeterReading): Passed => ({
  ...{ rx_bytes: rxBytes, rx_packets: rxPackets, tx_bytes: txBytes, tx_packets: txPackets },
});

const columns = (first: string) =>
  sql.raw(`${first}, rx_bytes bigint, rx_packets bigint, tx_bytes bigint, tx_packets bigint`);

/** Bounded by what JavaScript counts exactly. */
const sum = (column: string) =>
  sql`least(${sql.lit(Number.MAX_SAFE_INTEGER)}, ${sql.ref(`m.${column}`)} + ${sql.ref(`excluded.${column}`)})`;

async function knownReadings(db: Queryable, hostId: HostId, sources: readonly string[]): Promise<Map<string, Known>> {
  const { rows } = await sql<Known>`select source, rx_bytes, rx_packets, tx_bytes, tx_packets from meter_reading
    where host_id = ${hostId} and source = any(${sources}::text[])`.execute(db);
  return new Map(rows.map((row) => [row.source, row]));
}
