/**
 * By what it is certain that a guest does not run any more on a host that is silent. That a host is not heard proves nothing: it may be
 * only the network that is down. Pure, but for the look at the host.
 */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { type PowerOffSeen, poweredOff } from '../power/index.ts';
import type { ServerRow } from './server.ts';

export interface SilentHost {
  id: string;
  name: string;
  connected: boolean;
  forced_down: boolean;
  /** By whom that was said, and when. */
  forced_down_by: { at?: string } | null;
  last_seen_at: Date | null;
  lease_ends_at: Date | null;
  /** Its BMC says that it is off, in this silence and now; null: nothing says so. */
  power_off: PowerOffSeen | null;
  /** It knows that a guest may have to wait for a lease before it begins, also one that runs on without. */
  begins_lent: boolean;
  /** Of the database. */
  now: Date;
}

/** Kept with the migration. */
export type Evidence =
  /** Its BMC has turned it off, and says that it is. */
  | ({ kind: 'power_off'; last_seen_at: string | null } & Omit<PowerOffSeen, 'id'>)
  /** Its lease has ended, and its guest with it: the host has said that it does so. */
  | { kind: 'lease'; lease_ended_at: string; on_lease_end: 'pause' | 'stop' | null; last_seen_at: string | null }
  /** An administrator has said that the host is down. */
  | { kind: 'administrator'; by: object | null; last_seen_at: string | null };

/**
 * What clocks that run at different rates make of a lease, and what the host's watchdog needs to see its end: far more than either is. A database whose clock is
 * set forward by more than this while a host is away would be wrong.
 */
export const leaseMarginMs = 2000;

/**
 * The hosts as they are now, by id. Who renews their leases waits until this transaction ends, and sees then that they had ended. Whoever asks holds placement's
 * lock, as all who take both; rows are locked in one order by all who touch several.
 */
export async function lookAtHosts(tx: Tx, hostIds: Iterable<string>): Promise<Map<string, SilentHost>> {
  const { rows } =
    await sql<SilentHost>`select h.id, h.name, h.connected, h.forced_down, h.forced_down_by, h.last_seen_at, h.lease_ends_at,
      ${poweredOff} as power_off, coalesce((h.facts ->> 'beginsLent')::boolean, false) as begins_lent, clock_timestamp() as now from host h where ${isOneOf(sql`h.id`, [...hostIds])} order by h.id for share of h`.execute(
      tx,
    );
  return new Map(rows.map((row) => [row.id, row]));
}

/** The same of one. @returns undefined where there is none */
export const lookAtHost = async (tx: Tx, hostId: string): Promise<SilentHost | undefined> =>
  (await lookAtHosts(tx, [hostId])).get(hostId);

export type Bound = Pick<
  ServerRow,
  'evacuation_policy' | 'observed_generation' | 'observed_state' | 'observed_on_lease_end'
> & {
  /** The generation in which it was given to its host, where it came from another; all that this host was ever told of it is of that or a later one. */
  given_generation?: number | null;
};

/** Of `server s`. */
export const givenGeneration = sql`(select max(server_generation) from server_migration m
  where m.server_id = s.id and m.target_host_id = s.host_id and m.target_epoch = s.epoch)`;

/** Undefined: its guest may run there. */
export function evidenceOf(host: SilentHost, server: Bound, marginMs = leaseMarginMs): Evidence | undefined {
  const lastSeen = host.last_seen_at?.toISOString() ?? null;
  // Without power it believes in no lease, however long that would have lasted. But it may be turned on again by somebody, where nobody hears it.
  if (!host.connected && host.power_off && host.begins_lent && beginsLent(server)) {
    const { id: _, ...seen } = host.power_off;
    return { kind: 'power_off', last_seen_at: lastSeen, ...seen };
  }
  if (!isSilent(host, marginMs)) return undefined;
  if (isSaidDown(host)) return { kind: 'administrator', by: host.forced_down_by, last_seen_at: lastSeen };
  if (host.lease_ends_at === null || !endsWithLease(server)) return undefined;
  const { observed_on_lease_end } = server;
  return {
    ...{ kind: 'lease', lease_ended_at: host.lease_ends_at.toISOString() },
    ...{ on_lease_end: observed_on_lease_end, last_seen_at: lastSeen },
  };
}

/** It is not heard, and may not believe in its lease any more; of one of an older protocol nobody knows that. */
export const isSilent = ({ connected, lease_ends_at: end, now }: SilentHost, marginMs = leaseMarginMs): boolean =>
  !connected && (end === null || end.getTime() + marginMs <= now.getTime());

/** An administrator's word counts of the silence in which it was said: a host that was heard since was not off, and one that falls silent again may be running. */
export function isSaidDown({ forced_down, forced_down_by: by, last_seen_at }: SilentHost): boolean {
  if (!forced_down) return false;
  // It has whole seconds.
  const saidMs = by?.at === undefined ? Number.POSITIVE_INFINITY : Date.parse(by.at) + 999;
  return last_seen_at === null || saidMs >= last_seen_at.getTime();
}

/** What an owner asked for and the host has not heard is nothing to rely on. One that has said nothing yet heard it with whatever it was told. */
function hasHeard({ evacuation_policy: policy, given_generation: given, ...observed }: Bound): boolean {
  if (!policy) return false;
  if (observed.observed_state === 'none') return given != null && policy.generation <= given;
  return observed.observed_generation >= policy.generation;
}

/** The host knows that its guest may not outlive the lease (and begins none without one), and has no guest or said that the watchdog has it. */
function endsWithLease(server: Bound): boolean {
  const { evacuation_policy: policy, observed_state: state, observed_on_lease_end: guarded } = server;
  if (!policy || policy.on_lease_end === 'keep' || !hasHeard(server)) return false;
  return state === 'none' || guarded !== null || ['stopped', 'suspended', 'absent'].includes(state);
}

/** The host knows that its guest begins only under a lease, whatever happened to the machine meanwhile: what desired.ts says to hosts. */
function beginsLent(server: Bound): boolean {
  const { evacuation_policy: policy } = server;
  const said = policy !== null && (policy.on_lease_end !== 'keep' || policy.restart === 'elsewhere');
  return said && hasHeard(server);
}

/** The same of what nobody's guest has: by an administrator's word, or the end of the lease, beyond which its host begins nothing. */
export async function hostLossEvidence(
  tx: Tx,
  hostId: string,
): Promise<{ evidence: object } | { why: 'in_use' | 'unproven'; host: string }> {
  const host = await lookAtHost(tx, hostId);
  if (!host) return { evidence: { kind: 'gone' } };
  const { name, connected, last_seen_at, lease_ends_at } = host;
  if (!isSilent(host)) return { why: connected ? 'in_use' : 'unproven', host: name };
  const lastSeen = last_seen_at?.toISOString() ?? null;
  if (isSaidDown(host)) return { evidence: { kind: 'administrator', by: host.forced_down_by, last_seen_at: lastSeen } };
  if (lease_ends_at === null) return { why: 'unproven', host: name };
  return { evidence: { kind: 'lease', lease_ended_at: lease_ends_at.toISOString(), last_seen_at: lastSeen } };
}
