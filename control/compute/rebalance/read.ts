/** The picture that {@link propose} works on, and what the mover says of what it proposes. Reads alone. */
import { sql } from 'kysely';
import type { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { HostPicture, placementGroups } from '../placement/index.ts';
import { isRelocationRefusal, relocationForecast, type ServerRow } from '../server/index.ts';
import { withBandwidth } from '../server/placing.ts';
import { hostAwayMs } from '../server/server.ts';
import { placementNeeds, volumeHost } from '../server/waiting.ts';
import { type BalancedServer, imbalanceOf, type Proposal, propose, resources } from './propose.ts';

/** One move at a time is done, and the next one is found on what is then. */
export const thresholds = {
  /** Above this share more than all together a host is too full; it is relieved until it is below `lower`. */
  upper: 0.2,
  lower: 0.1,
};

export interface RebalanceTiming {
  /** For so long a host must be too full. */
  holdMs: number;
  /** A server that has moved stays for so long. */
  restMs: number;
}

export const timingOf = (afterSeconds = 600): RebalanceTiming => ({
  ...{ holdMs: 1000 * afterSeconds, restMs: 3000 * afterSeconds },
});

const mostMoves = 20;
/** Of which servers are read: the fullest. */
const mostHosts = 10;
/** Refusals of the mover that are looked for in one go. */
const mostRefused = 20;

export interface Balance extends Proposal {
  /** Why the mover would not move some of them: by server, the refusal. */
  refused: Map<string, CloudError>;
}

/**
 * What should move where, of which the mover says that it goes.
 * @param known servers that it has refused lately
 * @param proposing false: only how far the hosts are from even
 */
export async function readBalance(
  tx: Tx,
  {
    restMs,
    known = [],
    proposing = true,
  }: Pick<RebalanceTiming, 'restMs'> & { known?: Iterable<string>; proposing?: boolean },
): Promise<Balance> {
  const picture = new HostPicture();
  const hosts = await picture.read(tx, { awayMs: hostAwayMs });
  const worst = imbalanceOf(hosts);
  const refused = new Map<string, CloudError>();
  if (!proposing || worst === null || worst.above <= thresholds.lower)
    return { before: worst, after: worst, moves: [], stays: [], refused };
  const { servers, staying } = await readServers(tx, fullest(hosts), restMs);
  for (const id of known) staying.set(id, 'refused');
  const groupIds = new Set(servers.flatMap(({ server_group_id }) => server_group_id ?? []));
  const groups = groupIds.size > 0 ? await placementGroups(tx, groupIds) : new Map();
  const fleet = { hosts: await withBandwidth(tx, hosts, servers), servers, groups, staying };
  for (;;) {
    const proposal = propose(fleet, { lower: thresholds.lower, mostMoves });
    const found = refused.size < mostRefused ? await firstRefused(tx, proposal, picture) : undefined;
    if (!found) return { ...proposal, refused };
    refused.set(found.id, found.why);
    staying.set(found.id, 'refused');
  }
}

const fullest = (hosts: Awaited<ReturnType<HostPicture['read']>>): string[] =>
  hosts
    .map((host) => ({
      id: host.id,
      share: Math.max(...resources.map((name) => (host[name] > 0 ? host[`used_${name}`] / host[name] : 0))),
    }))
    .sort((a, b) => b.share - a.share || (a.id < b.id ? -1 : 1))
    .slice(0, mostHosts)
    .map(({ id }) => id);

/** Those that run or stand still on these hosts; what is off or on its way is nobody's to move. */
async function readServers(tx: Tx, hostIds: readonly string[], restMs: number) {
  const { rows } = await sql<
    BalancedServer & { rests: boolean }
  >`select s.id, s.name, s.project_id, s.host_id, s.vcpus, s.memory_mib,
      s.disk_gib + s.local_gib as disk_gib, s.availability_zone, null as requested_host_id, s.server_group_id,
      ${volumeHost} as volume_host_id, ${placementNeeds},
      exists (select from server_migration m where m.server_id = s.id and m.phase = 'ended'
        and m.updated_at > now() - ${restMs}::double precision * interval '1 millisecond') as rests
    from server s where ${isOneOf(sql`s.host_id`, hostIds)} and s.desired_presence = 'present' and s.soft_deleted_at is null
      and s.desired_power in ('on', 'paused') and s.observed_state in ('running', 'paused') and s.desired_move is null
      and s.desired_shelve is null and s.fault is null`.execute(tx);
  const staying = new Map(rows.filter(({ rests }) => rests).map(({ id }) => [id, 'moved_recently']));
  return { servers: rows.map(({ rests: _, ...server }) => server), staying };
}

/** The first of what is proposed that the mover would not move there, and why. */
async function firstRefused(
  tx: Tx,
  { moves }: Proposal,
  picture: HostPicture,
): Promise<{ id: string; why: CloudError } | undefined> {
  const { rows } = await sql<ServerRow>`select * from server where ${isOneOf(
    sql`id`,
    moves.map(({ server }) => server.id),
  )}`.execute(tx);
  for (const row of rows) {
    try {
      await relocationForecast(tx, row, { picture });
    } catch (error) {
      if (!isRelocationRefusal(error)) throw error;
      return { id: row.id, why: error as CloudError };
    }
  }
  return undefined;
}
