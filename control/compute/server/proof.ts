/**
 * The proof that a host can have a server (control/compute/placement/proof.ts): asked by people for one host, and again when hosts say something of a migration, before
 * the server is handed over. Owns `server_migration_key.proved_at`, up to which transaction that on which the proof rests was looked at.
 */
import { sql } from 'kysely';
import type { ServerId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { currentPosition, formatPosition } from '../../kit/change-log/changes.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { type AssertionsElsewhere, assertionsElsewhere } from '../../network/reachability-assertion/index.ts';
import { brokenOnTheWay, type HostCapacity, type ProofCheck, prove } from '../placement/index.ts';
import { isLive, type Migration } from '../server-migration/index.ts';
import { reachOf } from './actions/action.ts';
import { findCandidates } from './moving.ts';
import { findServer } from './store.ts';

export interface ServerProof {
  /** Of which host; null: there is none. */
  host: { id: string; name: string } | null;
  holds: boolean;
  /** Of the change log: all before it is in the proof. */
  position: string;
  /** How it stands with the host's tunnels; null: it has said nothing of them, or has none. */
  tunnels: { peers: number; tried: number; faults: number; age_ms: number } | null;
  checks: ServerProofCheck[];
  /** Standing ones about networks of the server, that the caller sees: how many there are, and which would not be true there. Null: there is no host to ask for. */
  assertions: AssertionsElsewhere | null;
}

/** Placement's own, and one that keeps no server from a host: what a project says of its network refuses nothing that the cloud does. */
export interface ServerProofCheck extends Omit<ProofCheck, 'check'> {
  check: ProofCheck['check'] | 'assertion_violated';
}

/**
 * @param wish host: name or id of the one that is asked for, by administrators alone; absent: the one that is the best for it now
 * @throws CloudError `not_found`, also of a server or a host that is hidden from the caller
 */
export function proveServer(
  database: Database,
  caller: Caller,
  { id, host }: { id: ServerId; host?: string | undefined },
): Promise<ServerProof> {
  return database.transaction(actorOf(caller), async (tx) => {
    await sql`set transaction read only`.execute(tx);
    if (!(await findServer(tx, reachOf(caller), id))) throw notFound('server', id);
    const position = formatPosition(await currentPosition(tx));
    const { request: asked, found, hosts, group } = await findCandidates(tx, { serverId: id });
    const wanted =
      host !== undefined && isAdmin(caller) ? hosts.find((one) => one.id === host || one.name === host) : undefined;
    if (host !== undefined && !wanted) throw notFound('host', host);
    const one = wanted ?? hosts.find(({ id }) => id === found.verdicts[0]?.host_id);
    if (!one) return { host: null, holds: false, position, tunnels: null, checks: [], assertions: null };
    const own = one.id === asked.moving?.host_id;
    const { exclude: _, ...here } = asked;
    const assertions = await assertionsElsewhere(tx, caller, { portIds: await portsOf(tx, id), hostId: one.id });
    const placement = prove(own ? here : asked, own ? without(one, asked) : one, group);
    const checks = [...placement, assertionCheck(assertions, one.name)];
    return {
      ...{ host: { id: one.id, name: one.name }, holds: checks.every(({ ok }) => ok), position, checks, assertions },
      tunnels: await tunnelsOf(tx, one.id),
    };
  });
}

/** The host on which it is, as if it were not. */
const without = (
  host: HostCapacity,
  size: Pick<HostCapacity, never> & { vcpus: number; memory_mib: number; disk_gib: number },
) => ({
  ...host,
  used_vcpus: host.used_vcpus - size.vcpus,
  used_memory_mib: host.used_memory_mib - size.memory_mib,
  used_disk_gib: host.used_disk_gib - size.disk_gib,
});

async function portsOf(tx: Tx, serverId: ServerId): Promise<string[]> {
  const { rows } = await sql<{
    port_id: string;
  }>`select port_id from server_port where server_id = ${serverId}`.execute(tx);
  return rows.map(({ port_id }) => port_id);
}

function assertionCheck({ broken }: AssertionsElsewhere, host: string): ServerProofCheck {
  const check = 'assertion_violated';
  if (broken.length === 0) return { check, ok: true };
  const named = broken.slice(0, 4).map(({ id, name }) => (name === '' ? id : name));
  const all = named.join(', ') + (broken.length > named.length ? ', …' : '');
  return {
    ...{ check, ok: false, wanted: broken.map(({ id }) => id) },
    why: `there ${broken.length === 1 ? 'a reachability assertion' : 'reachability assertions'} would not be true any more: ${all}`,
    fix: 'ask the administrators for a host on the same segments of its networks, and with the ports that its local IPs lead to, or let the assertions go',
    cure: `let ${host} carry the segment on which the others are, or take another host`,
  };
}

async function tunnelsOf(tx: Tx, hostId: string): Promise<ServerProof['tunnels']> {
  const { rows } = await sql<NonNullable<ServerProof['tunnels']>>`select peers, tried, faults,
      (coalesce(oldest_ms, 0) + extract(epoch from now() - said_at) * 1000)::float8 as age_ms
    from host_tunnels where host_id = ${hostId}`.execute(tx);
  return rows[0] ? { ...rows[0], age_ms: Math.round(rows[0].age_ms) } : null;
}

/**
 * Whether the other host of a migration can still have the server. Asked with each word of a host until it is handed over, so it looks first whether anything of that on
 * which the proof rests has changed; mostly nothing has.
 * @returns the one thing that does not hold any more; undefined: all does
 */
export async function proveAgain(tx: Tx, migration: Migration): Promise<ProofCheck | undefined> {
  const { id, server_id, target_host_id: target } = migration;
  const { rows } = await sql`select from server_migration_key k where k.migration_id = ${id} and (
      exists (select from host h where h.id = ${target} and h.changed_in >= k.proved_at)
      or exists (select from host_tunnels t where t.faults > 0 and t.changed_in >= k.proved_at)
      or exists (select from server_port v join port p on p.id = v.port_id join change c on c.transaction_id >= k.proved_at
          and (c.resource_type, c.resource_id) in (('port', p.id), ('network', p.network_id)) where v.server_id = ${server_id}))`.execute(
    tx,
  );
  if (rows.length === 0) return undefined;
  const { request, hosts, group } = await findCandidates(tx, {
    ...{ serverId: server_id as ServerId, mode: isLive(migration) ? ('live' as const) : ('cold' as const) },
  });
  const host = hosts.find((one) => one.id === target);
  const broken = host && brokenOnTheWay(prove(request, host, group));
  if (!broken) {
    await sql`update server_migration_key set proved_at = pg_snapshot_xmin(pg_current_snapshot()) where migration_id = ${id}`.execute(
      tx,
    );
  }
  return broken;
}
