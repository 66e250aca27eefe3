/** Why-records of placements: what was asked, what each host was found to be, and what the tenant may read of it. SQL, nothing else. */
import { sql } from 'kysely';
import { newOrderedId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import type { PoolVerdict, PoolWish } from '../../storage/pool/index.ts';
import type { Placement, PlacementRequest } from '../placement/index.ts';

/** A volume that is to be made with a server, as its type and its wish have it. */
export type VolumeSize = Required<Pick<PoolWish, 'sizeBytes' | 'extraSpecs' | 'cache' | 'encrypted' | 'iops'>>;

export interface PlacementDecision {
  server: { id: string; project_id: string };
  request: PlacementRequest;
  found: Placement;
  /** What was decided; absent: `placement`, where a server goes that has no host. */
  kind?: 'placement' | 'move';
  /** Up to which transaction of the change log it looked. */
  horizon?: string;
  /** That are made with it, and decided together with its host; where none takes one of them, what pools said of that one. */
  volumes?: { asked: readonly VolumeSize[]; verdicts: readonly PoolVerdict[] };
}

/** A text of its own for each count would be planned anew with each call. */
export async function recordDecisions(tx: Tx, decided: readonly PlacementDecision[]): Promise<void> {
  const rows = decided.map(({ server, request, found, volumes, horizon, kind = 'placement' }) => ({
    id: newOrderedId(),
    project_id: server.project_id,
    resource_id: server.id,
    kind,
    outcome: found.host ? 'placed' : 'no_capacity',
    inputs: {
      ...{ request, hosts: found.hosts, chosen: found.host?.id ?? null, verdicts: found.verdicts },
      ...(horizon !== undefined && { proved_at: horizon }),
      ...(found.alternatives.length > 0 && { alternatives: found.alternatives }),
      ...(volumes && { volumes: volumes.asked, pool_verdicts: volumes.verdicts }),
    },
    explanation: { message: found.message, refusals: found.refusals, fix: found.fix },
  }));
  await sql`
    insert into decision (id, project_id, resource_type, resource_id, kind, outcome, inputs, explanation)
    select id, project_id, 'server', resource_id, kind, outcome, inputs, explanation
    from jsonb_to_recordset(${json(rows)}::jsonb) as d(id uuid, project_id uuid, resource_id uuid, kind text, outcome text,
      inputs jsonb, explanation jsonb)`.execute(tx);
}
