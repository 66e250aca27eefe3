/**
 * What a host's word changes. Pure: one server's row and one report in, the new observed columns and the end of the
 * operation out. A report is never trusted: it counts only from the owner, of the present epoch, and never goes back.
 *
 * A guest that is stopped although it shall not be has either shut itself down or crashed (QEMU died). Both become
 * SHUTOFF, as in Nova (sync_power_states): desired_power follows, nothing restarts it but its owner. A crash keeps its error
 * in observed_error. That is the one desired column that a report may move, and only to off; and the image that was wanted of a
 * server's disk is wanted no more once the host has said what came of it. What follows of that for one that is shelved is in shelving.ts;
 * one that is unshelved is shelved no more once it runs, and one that has changed hosts can go back once it is as it shall be.
 */
import type { ObservedServer } from '../../../contract/host/index.ts';
import { beginningOf } from '../../kit/text.ts';
import { hasLetGo } from '../server-migration/index.ts';
import type { ServerFault } from './snapshots.ts';
import {
  isSatisfied,
  type ObservedState,
  type Power,
  type ServerCapture,
  type ServerMove,
  type ServerShelve,
  type ServerState,
} from './states.ts';

export interface ReportedRow extends ServerState {
  id: string;
  epoch: number;
  observed_step: string | null;
  observed_error: { code: string; message: string } | null;
  observed_started_at: Date | null;
  observed_on_lease_end: 'pause' | 'stop' | null;
  guest_password: string | null;
  guest_password_cleared: number;
}

/** The columns that a report may write. */
export interface ObservedPatch {
  id: string;
  generation: number;
  desired_power: Power;
  desired_capture: ServerCapture | null;
  desired_shelve: ServerShelve | null;
  desired_move: ServerMove | null;
  observed_generation: number;
  observed_state: Exclude<ObservedState, 'none'>;
  observed_power: Power | null;
  observed_reboot_count: number;
  observed_rescue_count: number;
  observed_root_count: number;
  observed_resize_count: number;
  observed_on_lease_end: 'pause' | 'stop' | null;
  observed_started_at: string | null;
  observed_step: string | null;
  observed_error: { code: string; message: string } | null;
  guest_password: string | null;
  fault: ServerFault | null;
  launched_at: string | null;
}

export type CaptureOutcome = NonNullable<ObservedServer['captures']>[number];

/** How the operation of this generation ended, where it failed. */
export interface ReportFailure {
  code: string;
  message: string;
}

export type ReportOutcome =
  | { kind: 'ignored'; reason: 'not the owner' | 'other epoch' | 'older generation' | 'generation from the future' }
  | { kind: 'unchanged'; satisfied: boolean }
  | {
      kind: 'recorded';
      patch: ObservedPatch;
      satisfied: boolean;
      failed: ReportFailure | null;
      /** What came of the image that was wanted of its disk. */
      captured: CaptureOutcome | undefined;
    };

/** The states that say what the machine is; the others pass. */
const powerOf: Partial<Record<ObservedState, Power>> = {
  running: 'on',
  stopped: 'off',
  paused: 'paused',
  suspended: 'suspended',
};

const maxText = 500;
const cut = (text: string): string => (text.length > maxText ? `${beginningOf(text, maxText - 1)}…` : text);

export function applyReport(row: ReportedRow, hostId: string, report: ObservedServer, now: string): ReportOutcome {
  if (row.host_id !== hostId) return { kind: 'ignored', reason: 'not the owner' };
  if (row.epoch !== report.epoch) return { kind: 'ignored', reason: 'other epoch' };
  if (report.generation < row.observed_generation) return { kind: 'ignored', reason: 'older generation' };
  if (report.generation > row.generation) return { kind: 'ignored', reason: 'generation from the future' };
  const captured = report.captures?.find(({ imageId }) => imageId === row.desired_capture?.image_id);
  const power = letsGo(row, report) ? row.observed_power : (powerOf[report.state] ?? row.observed_power);
  const patch: ObservedPatch = {
    id: row.id,
    generation: row.generation,
    desired_power: row.desired_power,
    desired_capture: captured ? null : row.desired_capture,
    desired_shelve: row.desired_shelve,
    desired_move: row.desired_move,
    observed_generation: report.generation,
    observed_state: report.state,
    observed_power: power,
    ...countsOf(report),
    observed_step: report.step === null ? null : cut(report.step),
    observed_error: report.error && { code: cut(report.error.code), message: cut(report.error.message) },
    guest_password: row.guest_password ?? postedPassword(row, report),
    fault: row.fault,
    launched_at: row.launched_at?.toISOString() ?? (power === null ? null : now),
  };
  let failed: ReportFailure | null = null;
  if (hasGoneOff(row, report)) {
    // A new generation, so that the host learns that off is what is wanted now.
    patch.desired_power = 'off';
    patch.generation = row.generation + 1;
    patch.observed_generation = patch.generation;
    // Where an operation still runs, the guest died before it was seen running as asked: that has failed.
    failed = patch.observed_error && forTenant(patch.observed_error);
  }
  const after: ServerState = { ...row, ...patch, launched_at: row.launched_at };
  const satisfied = isSatisfied(after);
  // What an administrator declared broken stays so until a person acts; every other fault ends when the world is right.
  if (satisfied && row.fault && row.fault.reason !== 'reset') patch.fault = null;
  if (satisfied && row.desired_shelve?.state === 'unshelving') patch.desired_shelve = null;
  if (satisfied && row.desired_move?.state === 'moved') patch.desired_move = { ...row.desired_move, state: 'kept' };
  if (report.state === 'failed' && report.generation === row.generation && row.desired_presence === 'present') {
    failed = forTenant(patch.observed_error ?? { code: 'internal', message: '' });
    const known = row.fault?.reason === 'host' && row.fault.generation === row.generation;
    if (!known || row.fault!.message !== failed.message) {
      patch.fault = {
        reason: 'host',
        message: failed.message,
        details: `${failed.code}: ${patch.observed_error?.message ?? ''}`,
        at: now,
        generation: row.generation,
      };
    }
  }
  return same(row, patch) ? { kind: 'unchanged', satisfied } : { kind: 'recorded', patch, satisfied, failed, captured };
}

const countsOf = (report: ObservedServer) => ({
  observed_reboot_count: report.rebootCount,
  observed_rescue_count: report.rescueCount ?? 0,
  observed_root_count: report.rootCount ?? 0,
  observed_resize_count: report.resizeCount ?? 0,
  observed_on_lease_end: report.onLeaseEnd ?? null,
  observed_started_at: report.startedAt,
});

/**
 * Failures whose words are for tenants: sentences of the host's own, with nothing in them but what tenants know. In others there may be addresses, paths and
 * engines' words, which are for administrators.
 */
const tenantCodes: ReadonlySet<string> = new Set([
  ...['conflict', 'unavailable', 'no_capacity'],
  ...['guest_died', 'memory_lost', 'not_running', 'lost_sight', 'lease_ended', 'not_quiesced'],
  ...['image_missing', 'image_refused', 'image_damaged', 'image_unreachable', 'firmware_missing', 'cpu_limits'],
  ...['local_volumes', 'no_disk', 'server_here', 'migration_incomplete', 'disk_missing', 'disk_unknown'],
]);

const couldNotRun = 'The host could not run the server.';

/** @param otherwise what a tenant reads of a failure whose words are not theirs */
export function forTenant({ code, message }: ReportFailure, otherwise = couldNotRun): ReportFailure {
  if (tenantCodes.has(code)) return { code, message };
  return { code, message: code === 'network' ? 'The ports of the server could not be plugged.' : otherwise };
}

/** Its guest stands still, or is off, because it runs on elsewhere in a moment. */
const letsGo = ({ desired_move: move }: ReportedRow, { outgoing }: ObservedServer): boolean =>
  move?.kind === 'live-migration' &&
  move.state === 'moving' &&
  outgoing !== undefined &&
  hasLetGo({ source_state: outgoing.state });

const postedPassword = (row: ReportedRow, { guestPassword }: ObservedServer): string | null =>
  guestPassword?.cleared === row.guest_password_cleared ? guestPassword.text : null;

/**
 * It was as asked in this very generation, and is off without anyone's wish: a host says `building` on the way. One on its way to another host
 * is off there where it is left.
 */
function hasGoneOff(row: ReportedRow, report: ObservedServer): boolean {
  const onItsWay = row.desired_move?.state === 'moving' || row.desired_move?.state === 'reverting';
  return (
    !onItsWay &&
    report.state === 'stopped' &&
    row.desired_presence === 'present' &&
    row.desired_power !== 'off' &&
    report.generation === row.generation &&
    report.rebootCount >= row.desired_reboot_count
  );
}

function same(row: ReportedRow, patch: ObservedPatch): boolean {
  return (
    row.generation === patch.generation &&
    row.desired_capture === patch.desired_capture &&
    row.desired_shelve === patch.desired_shelve &&
    row.desired_move === patch.desired_move &&
    row.observed_generation === patch.observed_generation &&
    row.observed_state === patch.observed_state &&
    row.observed_power === patch.observed_power &&
    row.observed_reboot_count === patch.observed_reboot_count &&
    row.observed_rescue_count === patch.observed_rescue_count &&
    row.observed_root_count === patch.observed_root_count &&
    row.observed_resize_count === patch.observed_resize_count &&
    row.observed_on_lease_end === patch.observed_on_lease_end &&
    row.guest_password === patch.guest_password &&
    row.observed_step === patch.observed_step &&
    (row.observed_started_at?.getTime() ?? null) === timeOf(patch.observed_started_at) &&
    row.observed_error?.code === patch.observed_error?.code &&
    row.observed_error?.message === patch.observed_error?.message &&
    row.fault === patch.fault
  );
}

const timeOf = (text: string | null): number | null => (text === null ? null : new Date(text).getTime());
