/**
 * Records what hosts report of layers, many at a time. Owns the observed_* columns; what a report means is decided in apply-report.ts.
 * Takes away the rows of layers of which nothing is left. If the process dies the host reports again.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Logger } from 'pino';
import type { ObservedLayer } from '../../../contract/host/index.ts';
import type { HostId, LayerId } from '../../../contract/ids.ts';
import { type ReportOptions, requireCurrent } from '../../host/index.ts';
import { cloudActor, type Database, type Queryable, type Tx, withCommit } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { json } from '../../kit/database/schema.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { recordSunk, recordUse } from '../cache-use/index.ts';
import { recordEnded } from '../export/index.ts';
import { applyReport, type ReportedLayer as JudgedLayer, type LayerPatch } from './apply-report.ts';
import { giveCarriesTime, isCopiedFurther } from './carry-time.ts';
import { releaseLayers } from './release.ts';

interface ReportedLayer extends JudgedLayer {
  volume_id: string;
  exported: boolean;
}

export interface ReportDependencies {
  database: Database;
  log: Logger;
  /** Launches volumes that have become complete by what was said of these layers, where that is all there is to do; absent: their controller does. */
  launch?(tx: Tx, layerIds: readonly string[]): Promise<void>;
}

/** @returns the layers that the host may forget: nothing is left of them, and nobody here waits for that any more */
export async function recordReports(
  deps: ReportDependencies,
  hostId: HostId,
  observed: readonly ObservedLayer[],
  { complete, connectionId }: ReportOptions = { complete: false },
): Promise<LayerId[]> {
  // The last word on a layer counts, where one message has two.
  const reports = new Map(observed.map((report) => [report.id as string, report]));
  if (complete) await dropKnown(deps.database.query, hostId, reports);
  if (reports.size === 0) return [];
  return deps.database.transaction(cloudActor, async (tx) => {
    const current = connectionId === undefined ? undefined : requireCurrent(tx, hostId, connectionId);
    const [known] = await Promise.all([
      reportedRows(tx, [...reports.keys()], sql`order by l.id for no key update`),
      current,
    ]);
    const { patches, gone, news, further, forget } = judge(deps, hostId, reports, known);
    const merged = patches.flatMap(({ id, former_parent_id }) => {
      const former = known.get(id)!.former_parent_id;
      return former !== null && former_parent_id === null ? { id, former, sank: known.get(id)!.sinks } : [];
    });
    const last = [
      ...(patches.length > 0 ? [writePatches(tx, patches)] : []),
      ...(news.length > 0 ? [deps.launch?.(tx, news), wakeWaiting(tx, news)] : []),
      ...(gone.length > 0 ? [takeAway(tx, gone)] : []),
      ...(further.length > 0 ? [giveCarriesTime(tx, further)] : []),
      ...endExports(tx, known, [...news, ...gone]),
    ];
    for (const { id, former, sank } of merged) if (sank) await recordSunk(tx, { above: id, highest: former });
    if (merged.length > 0) await endMerges(tx, merged);
    for (const [id, { use }] of reports) if (use && known.get(id)?.host_id === hostId) await recordUse(tx, id, use);
    return withCommit(Promise.all(last).then(() => forget));
  });
}

/** What the reports mean, of those that count. */
function judge(
  { log }: { log: Logger },
  hostId: HostId,
  reports: ReadonlyMap<string, ObservedLayer>,
  known: ReadonlyMap<string, ReportedLayer>,
) {
  const patches: LayerPatch[] = [];
  const [gone, news]: [string[], string[]] = [[], []];
  /** Volumes of which copies come further. */
  const further: string[] = [];
  const forget: LayerId[] = [];
  for (const [id, report] of reports) {
    const row = known.get(id);
    const outcome = row && applyReport(row, hostId, report);
    if (outcome?.kind === 'ignored') {
      log.info({ layerId: id, hostId, reason: outcome.reason }, 'report on a layer ignored');
    } else if (outcome?.kind === 'gone') gone.push(id);
    else if (outcome?.kind === 'recorded') {
      patches.push(outcome.patch);
      if (outcome.news) news.push(id);
      if (isCopiedFurther(row!, outcome.patch)) further.push(row!.volume_id);
      if (row!.observed_state !== report.state)
        log.info({ layerId: id, hostId, state: report.state, err: report.error }, 'layer observed');
    }
    // What is lost although it shall be there the host has to keep in mind: it is asked for it.
    const ours = outcome !== undefined && outcome.kind !== 'ignored' && outcome.kind !== 'gone';
    if (report.state === 'absent' && !ours) forget.push(id as LayerId);
  }
  return { patches, gone, news, further, forget };
}

/** Of those that a machine outside had. */
function endExports(tx: Tx, known: ReadonlyMap<string, ReportedLayer>, ids: readonly string[]): Promise<void>[] {
  const volumeIds = ids.flatMap((id) => (known.get(id)!.exported ? known.get(id)!.volume_id : []));
  return volumeIds.length > 0 ? [recordEnded(tx, [...new Set(volumeIds)])] : [];
}

/** What was merged goes, and the chain may still be too long; where it could not be, not again soon. */
async function endMerges(tx: Tx, merged: readonly { id: string; former: string }[]): Promise<void> {
  const formers = merged.map(({ former }) => former);
  await releaseLayers(tx, formers);
  await sql`update volume_layer set shorten_at = now() + interval '10 minutes'
    where ${isOneOf(sql`id`, formers)} and shorten_at is not null`.execute(tx);
  for (const { id } of merged) await enqueue(tx, 'volume_layer', id);
}

async function reportedRows(
  db: Queryable,
  ids: readonly string[],
  locking: RawBuilder<unknown>,
): Promise<Map<string, ReportedLayer>> {
  const { rows } = await sql<ReportedLayer>`
    select id, host_id, epoch, generation, parent_id, former_parent_id, sinks, observed_full, observed_written, desired_presence, desired_source, desired_captures, desired_backups,
      observed_epoch, observed_generation, observed_state, observed_size_bytes, observed_allocated_bytes, observed_step, observed_error,
      observed_captures, observed_backups, observed_export, observed_receiver, exported, volume_id
    from volume_layer l where ${isOneOf(sql`l.id`, ids)} ${locking}`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** All that a host has is what is known already, as a rule; what is news is looked at again under the lock. */
async function dropKnown(db: Queryable, hostId: HostId, reports: Map<string, ObservedLayer>): Promise<void> {
  for (const [id, row] of await reportedRows(db, [...reports.keys()], sql``)) {
    if (applyReport(row, hostId, reports.get(id)!).kind === 'unchanged') reports.delete(id);
  }
}

async function writePatches(tx: Tx, patches: readonly LayerPatch[]): Promise<void> {
  // One is planned as one: that is what hosts mostly say.
  const rows =
    patches.length === 1
      ? sql`jsonb_to_record(${json(patches[0])}::jsonb)`
      : sql`jsonb_to_recordset(${json(patches)}::jsonb)`;
  await sql`
    update volume_layer l set generation = p.generation, parent_id = p.parent_id, image_id = case when not p.put_back then l.image_id end,
      image = case when not p.put_back then l.image end, former_parent_id = p.former_parent_id, sinks = p.sinks, observed_full = p.observed_full, observed_written = p.observed_written,
      written_at = case when p.observed_written then case when l.observed_written then l.written_at else now() end end, desired_source = nullif(p.desired_source, 'null'::jsonb),
      observed_epoch = p.observed_epoch, observed_generation = p.observed_generation, observed_state = p.observed_state,
      observed_size_bytes = p.observed_size_bytes, observed_allocated_bytes = p.observed_allocated_bytes,
      observed_step = p.observed_step, observed_error = nullif(p.observed_error, 'null'::jsonb),
      observed_captures = p.observed_captures, observed_backups = p.observed_backups, observed_export = nullif(p.observed_export, 'null'::jsonb),
      observed_receiver = nullif(p.observed_receiver, 'null'::jsonb), observed_at = now(), updated_at = now()
    from ${rows} as p(id uuid, generation bigint, parent_id uuid, put_back boolean, former_parent_id uuid, sinks boolean, observed_full boolean, observed_written boolean, desired_source jsonb,
      observed_epoch bigint, observed_generation bigint, observed_state text, observed_size_bytes bigint,
      observed_allocated_bytes bigint, observed_step text, observed_error jsonb, observed_captures jsonb, observed_backups jsonb, observed_export jsonb, observed_receiver jsonb)
    where l.id = p.id`.execute(tx);
}

/** What was launched in this transaction waits for nothing else. */
const notLaunchedNow = sql`v.launched_at is distinct from now()`;

/**
 * The volumes and snapshots that refer to the layers, and the volumes of which they were made: tasks on them may be theirs, and replicas. In one order,
 * since others wake the same at the same time.
 */
async function wakeWaiting(tx: Tx, layerIds: readonly string[]): Promise<void> {
  await sql`
    select enqueue(task, id::text, now()) from (
      select 'volume' as task, v.id from volume v where ${isOneOf(sql`v.layer_id`, layerIds)} and ${notLaunchedNow}
      union select 'volume', v.id from volume_layer l join volume v on v.id = l.volume_id
        where ${isOneOf(sql`l.id`, layerIds)} and ${notLaunchedNow}
      union select 'volume_replica', r.volume_id from volume_layer l join volume_replica r on r.volume_id = l.volume_id
        where ${isOneOf(sql`l.id`, layerIds)}
      union select 'volume_snapshot', s.id from volume_snapshot s where ${isOneOf(sql`s.layer_id`, layerIds)}
      union select 'backup', (b ->> 'id')::uuid from volume_layer l, jsonb_array_elements(l.observed_backups) b
        where ${isOneOf(sql`l.id`, layerIds)}
      order by task, id) waiting`.execute(tx);
}

/** The host leaves the cloud, and with it what it never said was gone: nobody will hear of that any more. Ask only where no other layer is there. */
export async function forgetHostLayers(tx: Tx, hostId: string): Promise<void> {
  const { rows } = await sql<{ id: string }>`select id from volume_layer
    where host_id = ${hostId} and desired_presence = 'absent' order by id for update`.execute(tx);
  if (rows.length > 0)
    await takeAway(
      tx,
      rows.map(({ id }) => id),
    );
}

/** Nothing is left of these layers: whoever was to go with them is woken. */
async function takeAway(tx: Tx, layerIds: readonly string[]): Promise<void> {
  await sql`
    with gone as (delete from volume_layer where ${isOneOf(sql`id`, layerIds)} returning id),
    above as (update volume_layer set parent_id = case when ${isOneOf(sql`parent_id`, layerIds)} then null else parent_id end,
        former_parent_id = case when ${isOneOf(sql`former_parent_id`, layerIds)} then null else former_parent_id end
      where (${isOneOf(sql`parent_id`, layerIds)} or ${isOneOf(sql`former_parent_id`, layerIds)})
        and not ${isOneOf(sql`id`, layerIds)}),
    volumes as (update volume set layer_id = null where ${isOneOf(sql`layer_id`, layerIds)} returning id),
    snapshots as (update volume_snapshot set layer_id = null where ${isOneOf(sql`layer_id`, layerIds)} returning id)
    select enqueue('volume', id::text, now()) from volumes
    union all select enqueue('volume_snapshot', id::text, now()) from snapshots`.execute(tx);
}
