/**
 * A server's way to another host, cold and live. Each is checked as Nova checks it; what can't go is refused with
 * the reason, before anything is made. What becomes of it is in ../migrating.ts.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../../contract/errors.ts';
import type { HostId, ServerId } from '../../../../contract/ids.ts';
import { type Caller, requireAdmin } from '../../../kit/caller.ts';
import type { Tx } from '../../../kit/database/database.ts';
import { isOneOf } from '../../../kit/database/one-of.ts';
import { beginCarry, hostsForVolumes } from '../../../storage/volume/index.ts';
import type { HostPicture, Placement } from '../../placement/index.ts';
import { beginMove, type MigrationCause, stallMs } from '../../server-migration/index.ts';
import { findTarget, placeMove, recordRefusedMove } from '../moving.ts';
import { sentences } from '../refuse.ts';
import type { ServerRow } from '../server.ts';
import type { ServerSize } from '../snapshots.ts';
import type { MoveKind } from '../states.ts';
import type { DesiredChange } from '../store.ts';
import { type ActionWork, requireNoTpm, type ServerAction } from './action.ts';

export interface MoveWish {
  /** The name of the host that it shall go to; null: any. */
  host: string | null;
}

interface Where {
  /** The server's own. */
  name: string | null;
  /** Nor said to be down. */
  up: boolean | null;
  others: number;
  /** Of those, the ones that take part in migrations of this kind. */
  able: number;
  /** Of the host of the name that was asked for; null: there is none. */
  wanted_id: HostId | null;
  /** That take no part in migrations of this kind. */
  unable: string[];
  with_volumes: boolean;
}

/** Where it has volumes, to copy what they build on, too. */
const ableTo = (mode: 'cold' | 'live', serverId: string) =>
  sql`(coalesce(facts -> 'migrations' ? ${mode}, false) and (coalesce((facts -> 'layerCopies')::boolean, false)
    or not exists (select from volume_attachment where server_id = ${serverId})))`;

async function look(
  tx: Tx,
  server: ServerRow,
  { host, mode }: { host: string | null; mode: 'cold' | 'live' },
): Promise<Where> {
  const { rows } = await sql<Where>`select
    (select name from host where id = ${server.host_id}) as name,
    (select connected and not forced_down from host where id = ${server.host_id}) as up,
    (select count(*)::integer from host where id is distinct from ${server.host_id} and connected and enabled
      and not forced_down) as others,
    (select count(*)::integer from host where id is distinct from ${server.host_id} and connected and enabled
      and not forced_down and ${ableTo(mode, server.id)}) as able,
    (select id from host where name = ${host}::text) as wanted_id,
    array(select id::text from host where not ${ableTo(mode, server.id)}) as unable,
    exists (select from volume_attachment where server_id = ${server.id}) as with_volumes`.execute(tx);
  return rows[0]!;
}

/** @throws CloudError what is the matter with the server, or with its host */
function requireMovable(server: ServerRow, call: string, where: Where): void {
  const { id } = server;
  requireNoTpm(server, call);
  if (server.image?.format === 'iso') throw new CloudError('invalid', 'move_of_medium', { id });
  if (server.desired_rescue) throw new CloudError('conflict', 'move_of_rescued', { id });
  if (!where.up) throw new CloudError('invalid', 'source_host_away', { id });
  if (server.host_id !== null && where.unable.includes(server.host_id)) {
    throw new CloudError('invalid', 'source_host_unable', { id });
  }
}

/** @throws CloudError of the name that was asked for */
function requireWanted(where: Where, host: string | null, code: 'invalid' | 'not_found'): void {
  if (host !== null && where.wanted_id === null) throw new CloudError(code, 'host_not_found', { id: host });
  if (host !== null && host === where.name) throw new CloudError('invalid', 'move_to_same_host', { host });
}

export interface Move {
  kind: MoveKind;
  /** Its flavor there; null: its own. */
  size: ServerSize | null;
  host: string | null;
  /** Absent: a person asks for it. */
  cause?: MigrationCause;
  usesReserve?: boolean | undefined;
}

const calls = { 'live-migration': 'os-migrateLive', migration: 'migrate', resize: 'resize' } as const;

/** All but whether a host takes it. @param begins the rows are locked for it @throws CloudError `invalid`, `conflict` */
async function check(
  tx: Tx,
  server: ServerRow,
  { kind, size, host, usesReserve = false }: Move,
  begins: { lock: boolean },
) {
  const where = await look(tx, server, { host, mode: kind === 'live-migration' ? 'live' : 'cold' });
  requireWanted(where, host, 'invalid');
  requireMovable(server, calls[kind], where);
  const unfit = where.with_volumes ? await hostsWithoutRoom(tx, server.id, begins) : [];
  const wish = {
    serverId: server.id as ServerId,
    mode: kind === 'live-migration' ? ('live' as const) : ('cold' as const),
    ...(where.with_volumes && { exclude: [...where.unable, ...unfit] }),
    only: where.wanted_id,
    withVolumes: true,
    usesReserve,
    ...(size && {
      size: { vcpus: size.vcpus, memory_mib: size.memory_mib, disk_gib: size.disk_gib + (size.local_gib ?? 0) },
    }),
  };
  return { where, wish };
}

/** The host that would take it now; nothing is changed. @throws CloudError as {@link begin} would */
export async function forecast(tx: Tx, server: ServerRow, move: Move, picture: HostPicture): Promise<Placement> {
  const { where, wish } = await check(tx, server, move, { lock: false });
  const { found } = await findTarget(tx, wish, { picture });
  if (!found.host) throw noOther(server, where, found);
  return found;
}

type MoveWork = Pick<ActionWork, 'tx' | 'refusing'> & { caller: Pick<Caller, 'userId'> };

/** Finds the host, claims what it needs there, and lets both know. @throws CloudError `invalid`, `conflict` */
export async function begin(work: MoveWork, server: ServerRow, move: Move): Promise<DesiredChange> {
  const { tx, caller } = work;
  const { kind, size, cause = null } = move;
  const { where, wish } = await check(tx, server, move, { lock: true });
  const found = await placeMove(tx, wish);
  if (!found.host) {
    work.refusing?.((again) => recordRefusedMove(again, wish));
    throw noOther(server, where, found);
  }
  const migration_id = await beginMove(tx, {
    ...{ projectId: server.project_id, userId: caller.userId, serverId: server.id, hostId: server.host_id, kind },
    ...{ generation: server.generation + 1, targetId: found.host.id, size, cause },
    ...{ oldFlavorId: server.flavor_id, newFlavorId: size?.flavor_id ?? server.flavor_id },
  });
  if (where.with_volumes)
    await beginCarry(tx, { serverId: server.id, migrationId: migration_id, targetId: found.host.id });
  return { move: { migration_id, kind, state: 'moving' } };
}

/** For its volumes, as their types ask. @throws CloudError `invalid` where one of them does not go along */
async function hostsWithoutRoom(tx: Tx, serverId: string, begins: { lock: boolean }): Promise<string[]> {
  const fit = await hostsForVolumes(tx, serverId, begins);
  const { rows } = await sql<{ id: string }>`select id from host where not ${isOneOf(sql`id`, fit)}`.execute(tx);
  return rows.map(({ id }) => id);
}

/** The tenant's part of the why-record. */
function noOther({ id }: ServerRow, { others, able }: Where, found: Placement): CloudError {
  if (others > 0 && able === 0) return new CloudError('invalid', 'no_able_host', { id });
  return new CloudError('invalid', 'no_other_host', { id, why: others === 0 ? null : sentences(found) });
}

export const migrate: ServerAction<MoveWish> = {
  verb: 'migrate',
  doing: 'migrate a server',
  needs: 'manager',
  deadlineMs: stallMs,
  decide(work, server, { host }) {
    if (host !== null) requireAdmin(work.caller, 'migrate a server to a host of one’s choice');
    return begin(work, server, { kind: 'migration', size: null, host });
  },
};

export interface LiveMoveWish extends MoveWish {
  /** Its disks may be copied; false: they must not, so it has none that only its host has. */
  copyDisks: boolean;
}

export const liveMigrate: ServerAction<LiveMoveWish> = {
  verb: 'live-migration',
  call: 'os-migrateLive',
  doing: 'migrate a server live',
  needs: 'manager',
  deadlineMs: stallMs,
  async decide(work, server, { host, copyDisks }) {
    if (host !== null) requireAdmin(work.caller, 'migrate a server to a host of one’s choice');
    const move = { kind: 'live-migration', size: null, host } as const;
    const decision = await begin(work, server, move);
    if (!copyDisks) throw new CloudError('invalid', 'disks_not_shared', { id: server.id });
    return decision;
  },
};
