/**
 * Records what hosts report, many servers at a time: two or three statements however long the list. Owns the observed_*
 * columns; what a report means is decided in apply-report.ts. If the process dies the host reports again.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Logger } from 'pino';
import type { ObservedServer } from '../../../contract/host/index.ts';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { type ReportOptions, requireCurrent } from '../../host/index.ts';
import { cloudActor, type Database, type Queryable, type Tx, withCommit } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import {
  type AttachmentChange,
  applyVolumes,
  attachmentsOfServer,
  type KnownAttachment,
  recordVolumes,
} from '../../storage/attachment/index.ts';
import { forgetAdminPasswords } from './admin-password.ts';
import {
  applyReport,
  forTenant,
  type ObservedPatch,
  type ReportedRow,
  type ReportFailure,
  type ReportOutcome,
} from './apply-report.ts';
import { endCapture } from './captures.ts';
import { MigrationReports, type MigrationReportsDependencies } from './migration-reports.ts';
import { afterSaving, afterStopping, dropSaved } from './shelving.ts';
import { isSatisfied } from './states.ts';
import { stateColumns } from './states-sql.ts';

/** What a report is compared with. */
interface KnownRow extends ReportedRow {
  attachments: KnownAttachment[] | null;
  /** Of the database. */
  now: Date;
}

/**
 * @returns the servers whose `absent` is recorded, or that this host has no more business with: it may forget them
 */
export async function recordReports(
  deps: { database: Database; log: Logger } & MigrationReportsDependencies,
  hostId: HostId,
  observed: readonly ObservedServer[],
  { complete, connectionId }: ReportOptions = { complete: false },
): Promise<ServerId[]> {
  // The last word on a server counts, where one message has two.
  const reports = new Map(observed.map((report) => [report.id as string, report]));
  if (complete) await dropKnown(deps.database.query, hostId, reports);
  if (reports.size === 0) return [];
  return deps.database.transaction(cloudActor, async (tx) => {
    const current = connectionId === undefined ? undefined : requireCurrent(tx, hostId, connectionId);
    const [known] = await Promise.all([reportedRows(tx, [...reports.keys()], sql`order by s.id for update`), current]);
    const migrations = new MigrationReports(deps, hostId);
    const switched = await migrations.ofOther(tx, reports, known);
    for (const [id, row] of switched.length > 0 ? await reportedRows(tx, switched, sql``) : []) known.set(id, row);
    const patches: ObservedPatch[] = [];
    const steps: OperationStep[] = [];
    const [forget, ran]: [ServerId[], string[]] = [[], []];
    const volumes: AttachmentChange[] = [];
    for (const [id, report] of reports) {
      if (migrations.aside.has(id)) continue;
      const row = known.get(id);
      const outcome = row ? applyReport(row, hostId, report, row.now.toISOString()) : undefined;
      if (row && outcome?.kind !== 'ignored') volumes.push(...volumeChanges(row, report));
      if (outcome?.kind === 'ignored') {
        deps.log.info({ serverId: id, hostId, reason: outcome.reason }, 'report ignored');
      } else if (outcome?.kind === 'recorded') {
        await follow(tx, row!, outcome);
        patches.push(outcome.patch);
        // What a server on its way to another host waits for says its migration.
        if (row!.desired_move?.state !== 'moving' || outcome.failed) steps.push(stepOf(row!, outcome, report));
        if (outcome.satisfied && outcome.patch.observed_power === 'on') ran.push(id);
        if (row!.observed_state !== report.state) {
          deps.log.info({ serverId: id, hostId, state: report.state, err: report.error }, 'server observed');
        }
      }
      if (report.state === 'absent' && mayForget(row, outcome?.kind)) forget.push(id as ServerId);
    }
    const last = patches.length > 0 ? [writePatches(tx, patches, steps, { hostId, ran })] : [];
    if (volumes.length > 0) last.push(recordVolumes(tx, volumes));
    for (const id of forget) {
      // The controller takes the row away: one place for it, whether the host's word or the deadline came first.
      if (known.get(id)?.host_id === hostId) last.push(enqueue(tx, 'server', id));
    }
    if (!migrations.any) return withCommit(Promise.all(last).then(() => forget));
    await Promise.all(last);
    await migrations.ofOwner(tx, reports, known);
    return forget;
  });
}

/** What follows from a report for an image of its disk, and for one that is shelved. */
async function follow(tx: Tx, row: KnownRow, outcome: ReportOutcome & { kind: 'recorded' }): Promise<void> {
  const { desired_shelve: shelve, now } = row;
  const { captured, patch, satisfied } = outcome;
  if (captured) {
    const failed = await endCapture(tx, row.id as ServerId, row.desired_capture!, captured);
    outcome.failed ??= failed && forTenant(failed, 'The host could not make the image.');
    if (shelve?.state !== 'saving') return;
    afterSaving(patch, shelve, { result: failed ? null : captured.result, now });
    outcome.satisfied = isSatisfied({ ...row, ...patch, launched_at: row.launched_at });
  } else if (afterStopping(patch, { shelve, satisfied, now })) outcome.satisfied = false;
  else if (shelve && !patch.desired_shelve) await dropSaved(tx, shelve);
}

async function reportedRows(
  db: Queryable,
  ids: readonly string[],
  locking: RawBuilder<unknown>,
): Promise<Map<string, KnownRow>> {
  const { rows } = await sql<KnownRow>`
    select ${stateColumns}, ${attachmentsOfServer(sql`s.id`)} as attachments, s.id, s.epoch, s.observed_started_at, s.observed_on_lease_end, s.observed_step, s.guest_password, s.guest_password_cleared, now() as now
    from server s where ${isOneOf(sql`s.id`, ids)} ${locking}`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}

/**
 * All that a host has is what is known already, as a rule: nothing is to be written for it, and no row to be locked, when a thousand
 * hosts come back at once. What is news is looked at again under the lock.
 */
async function dropKnown(db: Queryable, hostId: HostId, reports: Map<string, ObservedServer>): Promise<void> {
  for (const [id, row] of await reportedRows(db, [...reports.keys()], sql``)) {
    const report = reports.get(id)!;
    const known =
      applyReport(row, hostId, report, row.now.toISOString()).kind === 'unchanged' &&
      volumeChanges(row, report).length === 0;
    const moves = report.incoming !== undefined || report.outgoing !== undefined;
    if (report.state !== 'absent' && known && !moves) reports.delete(id);
  }
}

const volumeChanges = (
  { attachments, observed_generation: generation, observed_state: state }: KnownRow,
  report: ObservedServer,
) => (attachments ? applyVolumes(attachments, report, { generation, state }) : []);

/** Absent is recorded (or was), or the server is nobody's or another host's. Not: ours, wanted, and lost. */
function mayForget(row: ReportedRow | undefined, kind: string | undefined): boolean {
  if (!row || kind === 'ignored') return true;
  return row.desired_presence === 'absent' || row.desired_shelve?.state === 'offloading';
}

interface OperationStep {
  id: string;
  generation: number;
  state: 'running' | 'succeeded' | 'failed';
  waiting_for: string | null;
  error_code: string | null;
  error_message: string | null;
}

function stepOf(
  row: ReportedRow,
  outcome: { patch: ObservedPatch; satisfied: boolean; failed: ReportFailure | null },
  report: ObservedServer,
): OperationStep {
  const none = { waiting_for: null, error_code: null, error_message: null };
  const generation = outcome.patch.generation;
  if (outcome.failed) {
    const { code, message } = outcome.failed;
    return { ...none, id: row.id, generation, state: 'failed', error_code: code, error_message: message };
  }
  // A delete is done when the row is gone: the controller says so.
  if (outcome.satisfied && row.desired_presence === 'present')
    return { ...none, id: row.id, generation, state: 'succeeded' };
  return { ...none, id: row.id, generation, state: 'running', waiting_for: waitingFor(report) };
}

/** What is being done; how far it is stands in the server's row, and is no event (see migration 0024). */
const waitingFor = ({ step, state }: ObservedServer): string =>
  step === null ? `the host: ${state}` : step.replace(/[:,]?\s*[(]?\d.*$/s, '') || step;

async function writePatches(
  tx: Tx,
  patches: ObservedPatch[],
  steps: readonly OperationStep[],
  { hostId, ran }: { hostId: string; ran: readonly string[] },
): Promise<void> {
  await sql`
    with closed as (
      update operation o set state = s.state, waiting_for = s.waiting_for, error_code = s.error_code,
        error_message = s.error_message, updated_at = now(), owner = ${`host ${hostId}`},
        finished_at = case when s.state = 'running' then null else now() end
      from jsonb_to_recordset(${JSON.stringify(steps)}::jsonb) as s(id uuid, generation bigint, state text,
        waiting_for text, error_code text, error_message text)
      where o.resource_id = s.id and o.state = 'running' and o.generation <= s.generation
        and (o.state, o.waiting_for) is distinct from (s.state, s.waiting_for)),
    forgotten as (${forgetAdminPasswords(ran)})
    update server v set
      generation = p.generation, desired_power = p.desired_power, desired_capture = nullif(p.desired_capture, 'null'::jsonb),
      desired_shelve = nullif(p.desired_shelve, 'null'::jsonb), desired_move = nullif(p.desired_move, 'null'::jsonb), observed_generation = p.observed_generation,
      observed_state = p.observed_state, observed_power = p.observed_power,
      observed_reboot_count = p.observed_reboot_count, observed_rescue_count = p.observed_rescue_count,
      observed_root_count = p.observed_root_count,
      observed_resize_count = p.observed_resize_count,
      resized_at = case when p.observed_resize_count > 0 or p.desired_move ->> 'state' = 'kept' then coalesce(v.resized_at, now()) end,
      observed_on_lease_end = p.observed_on_lease_end, observed_started_at = p.observed_started_at,
      guest_password = p.guest_password, observed_step = p.observed_step, observed_error = nullif(p.observed_error, 'null'::jsonb), observed_at = now(),
      fault = nullif(p.fault, 'null'::jsonb), launched_at = p.launched_at, updated_at = now()
    from jsonb_to_recordset(${JSON.stringify(patches)}::jsonb) as p(id uuid, generation bigint, desired_power text, desired_capture jsonb, desired_shelve jsonb, desired_move jsonb,
      observed_generation bigint, observed_state text, observed_power text, observed_reboot_count integer,
      observed_rescue_count bigint, observed_root_count bigint, observed_resize_count bigint, observed_on_lease_end text, observed_started_at timestamptz, guest_password text, observed_step text, observed_error jsonb, fault jsonb, launched_at timestamptz)
    where v.id = p.id`.execute(tx);
}
