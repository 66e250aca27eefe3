/** Replicas that are older than they shall be: who hears of them, and which they are. */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import {
  asOfSql,
  changeReplica,
  isLateSql,
  mayBeLateSql,
  replicaFrom,
  type VolumeReplicaRow,
} from '../replica/index.ts';
import { recordLoss } from '../volume/index.ts';

type Late = Pick<VolumeReplicaRow, 'volume_id' | 'rpo_seconds' | 'fault' | 'late_since'> & {
  late: boolean;
  project_id: string;
  generation: number;
  now: Date;
  age_seconds: number | null;
};

/** Told once, until it is not late any more. */
export async function tellLate(database: Database, log: Logger): Promise<void> {
  await database.transaction(cloudActor, async (tx) => {
    const { rows } =
      await sql<Late>`select r.volume_id, r.rpo_seconds, r.fault, r.late_since, ${isLateSql} as late, v.project_id, v.generation, now() as now,
        extract(epoch from now() - ${asOfSql})::float8 as age_seconds
      from ${replicaFrom} where (r.late_since is not null or ${mayBeLateSql}) and ${isLateSql} <> (r.late_since is not null) order by r.volume_id limit 100
      for no key update of r skip locked`.execute(tx);
    for (const { volume_id: id, now, project_id, generation, late, rpo_seconds, fault, age_seconds } of rows) {
      await changeReplica(tx, id, { late_since: late ? now : null });
      const age = age_seconds === null ? null : Math.round(age_seconds);
      if (!late) {
        log.info({ volumeId: id, ageSeconds: age, rpoSeconds: rpo_seconds }, 'replica is as new as it shall be again');
        continue;
      }
      log.warn({ volumeId: id, ageSeconds: age, rpoSeconds: rpo_seconds, why: fault?.message }, 'replica is late');
      const how = age === null ? 'The volume has no whole replica' : `The replica of the volume is ${age} s old`;
      const message = `${how}, and ${rpo_seconds} s are allowed. ${fault?.message ?? 'It takes longer than that to bring it up to date.'}`;
      await recordLoss(tx, 'volume', { id, project_id, generation }, { state: 'failed', code: 'unavailable', message });
    }
  });
}

export interface LateReplicas {
  replicas: number;
  late: number;
  /** Whose second copies were given up, and are not in sync again. */
  out_of_sync: number;
  /** Of the one that is late for the longest time: why. */
  why: string | null;
}

/** For `bothy doctor`. */
export async function lateReplicas({ query }: Pick<Database, 'query'>): Promise<LateReplicas> {
  const { rows } = await sql<LateReplicas>`select count(*)::integer as replicas, count(late_since)::integer as late,
    count(*) filter (where fault ->> 'code' = 'out_of_sync')::integer as out_of_sync,
    (select fault ->> 'message' from volume_replica where late_since is not null order by late_since limit 1) as why
    from volume_replica`.execute(query);
  return rows[0]!;
}
