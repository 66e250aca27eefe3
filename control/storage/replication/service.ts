/** What people see of replicas, and do to them: how old one is; a failover by hand; all of it anew; what a failover left is given up. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, isAdmin, requireAdmin } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { releaseLayers } from '../layer/index.ts';
import {
  asOfSql,
  changeReplica,
  isIdleSql,
  isInSyncSql,
  isLateSql,
  noRound,
  replicaFrom,
  type VolumeReplicaRow,
} from '../replica/index.ts';
import { findVolume, onLockedVolume, reachOf } from '../volume/index.ts';
import { type Look, lookAtReplica } from './look.ts';
import { type Promotion, promoteReplica } from './promote.ts';
import { takesWrites } from './second-copy.ts';

/**
 * enabling: there is no whole one yet, or its second copy is not in sync yet; enabled: it is as new as it shall be; error: it is older, its second copy was given up, or none can be made. Cinder's words.
 */
export type ReplicaStatus = 'enabling' | 'enabled' | 'error';

export interface ShownReplica
  extends Pick<
    VolumeReplicaRow,
    | (
        | 'volume_id'
        | 'rpo_seconds'
        | 'rounds'
        | 'last_round_bytes'
        | 'last_round_seconds'
        | 'round_began_at'
        | 'round_full'
        | 'synchronous'
      )
    | ('fault' | 'late_since' | 'failed_over_at')
  > {
  status: ReplicaStatus;
  as_of: Date | null;
  age_seconds: number | null;
  /** Nothing was written since. */
  idle: boolean;
  /** It has all that the volume's guest was told is written; of one that no guest has: all that is written. */
  in_sync: boolean;
  host_name: string | null;
  pool_name: string | null;
  /** What the volume held on a host that was lost is still kept there. */
  former_kept: boolean;
}

type Found = Omit<ShownReplica, 'in_sync'> & { late: boolean; copied: boolean; written_to: boolean };

const columns = sql`r.volume_id, r.rpo_seconds, r.rounds, r.last_round_bytes, r.last_round_seconds, r.round_began_at, r.round_full, r.synchronous, r.fault,
  r.late_since, r.failed_over_at, ${asOfSql} as as_of, extract(epoch from now() - ${asOfSql})::float8 as age_seconds, ${isIdleSql} as idle, ${isInSyncSql} as copied,
  exists (select from volume_attachment a where a.volume_id = r.volume_id and a.observed_state is not null) as written_to,
  ${isLateSql} as late, b.name as host_name, p.name as pool_name, r.former_layer_id is not null as former_kept`;

/** Whether nothing writes to the volume on its host, which is lost, by evidence of servers' (control/compute/server). */
export type HostIsLost = (
  tx: Tx,
  hostId: string,
) => Promise<{ evidence: object } | { why: 'in_use' | 'unproven'; host: string }>;

export class ReplicaService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Null: the volume has none. @throws CloudError `not_found`, also for a volume that is hidden from the caller */
  async get(caller: Caller, volumeId: string): Promise<ShownReplica | null> {
    const { id } = await findVolume(this.#database.query, reachOf(caller), volumeId);
    const { rows } = await sql<Found>`select ${columns} from ${replicaFrom} where r.volume_id = ${id}`.execute(
      this.#database.query,
    );
    return rows[0] ? shown(caller, rows[0]) : null;
  }

  /** Those that are late, the ones that have been so for the longest time first; or all. For administrators. */
  async list(caller: Caller, { late, limit }: { late: boolean; limit: number }): Promise<ShownReplica[]> {
    requireAdmin(caller, 'list replicas of volumes');
    const { rows } = await sql<Found>`select ${columns} from ${replicaFrom}
      where ${late ? isLateSql : sql`true`} order by r.late_since, r.volume_id limit ${limit}`.execute(
      this.#database.query,
    );
    return rows.map((row) => shown(caller, row));
  }

  /**
   * By hand, of a volume that no server has; of one that a server has its server is evacuated.
   * @throws CloudError `not_found`, `forbidden`, `conflict`; `invalid` where nothing proves that its host is lost
   */
  async failOver(caller: Caller, volumeId: string, hostIsLost: HostIsLost): Promise<Promotion & { evidence: object }> {
    await findVolume(this.#database.query, reachOf(caller), volumeId);
    requireAdmin(caller, 'fail over a volume');
    return onLockedVolume({ database: this.#database }, caller, volumeId, 'fail over a volume', async (tx, volume) => {
      const { id, host_id: hostId, attachment } = volume;
      if (attachment) throw new CloudError('conflict', 'volume_failover_attached', { id });
      if (hostId === null) throw new CloudError('conflict', 'volume_replica_missing', { id });
      const lost = await hostIsLost(tx, hostId);
      if ('why' in lost) {
        throw new CloudError('invalid', 'volume_failover_unproven', { id, host: lost.host, why: lost.why });
      }
      const promotion = await promoteReplica(tx, id, actorOf(caller));
      return { ...promotion, evidence: lost.evidence };
    });
  }

  /**
   * The next round copies all of the volume; where the host of the replica is away, to another one.
   * @throws CloudError `not_found`, `forbidden`, `conflict`, also where the volume's host is away, too: the replica may be all that there is
   */
  async resync(caller: Caller, volumeId: string): Promise<void> {
    await this.#change(caller, volumeId, 'copy a volume to its replica anew', async (tx, { replica, hosts, now }) => {
      const { source_layer_id, round_source_layer_id, round_layer_id, layer_id } = replica;
      const kept = hosts.replica.connected;
      if (!kept && layer_id !== null && !hosts.volume.connected)
        throw new CloudError('conflict', 'volume_replica_alone', { id: volumeId });
      await changeReplica(tx, replica.volume_id, {
        ...{ ...noRound, source_layer_id: null, next_at: now, failures: 0, fault: null },
        ...(!kept && { pool_id: null, layer_id: null, as_of: null, moment: null }),
        ...(takesWrites(replica) && { copy_state: 'ended' }),
      });
      const unneeded = [source_layer_id, round_source_layer_id, round_layer_id, kept ? null : layer_id];
      await releaseLayers(
        tx,
        unneeded.flatMap((id) => id ?? []),
      );
    });
  }

  /** What the volume held on the host that was lost is removed there. @throws CloudError `not_found`, `forbidden`, `conflict` */
  async giveUpFormer(caller: Caller, volumeId: string): Promise<void> {
    await this.#change(caller, volumeId, 'give up what a volume held', async (tx, { replica }) => {
      const former = replica.former_layer_id;
      if (former === null) return;
      await changeReplica(tx, replica.volume_id, { former_layer_id: null });
      await releaseLayers(tx, [former]);
    });
  }

  async #change(
    caller: Caller,
    volumeId: string,
    doing: string,
    work: (tx: Tx, look: Look) => Promise<void>,
  ): Promise<void> {
    await findVolume(this.#database.query, reachOf(caller), volumeId);
    requireAdmin(caller, doing);
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const look = await lookAtReplica(tx, volumeId);
      if (!look) throw new CloudError('conflict', 'volume_replica_missing', { id: volumeId });
      await work(tx, look);
      await enqueue(tx, 'volume_replica', volumeId);
    });
  }
}

/** Where it lies is for administrators, and what a host says of it. */
function shown(caller: Caller, { late, copied, written_to: writtenTo, ...replica }: Found): ShownReplica {
  const inSync = copied || (replica.synchronous && replica.idle && !writtenTo);
  const failed = late || replica.fault?.code === 'out_of_sync';
  const whole = replica.as_of !== null && (inSync || !replica.synchronous);
  const known = { ...replica, in_sync: inSync, status: failed ? 'error' : whole ? 'enabled' : 'enabling' } as const;
  return isAdmin(caller) ? known : { ...known, host_name: null, pool_name: null };
}
