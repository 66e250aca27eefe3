/** A server on its way waits for copies of what its volumes build on; as long as those come further, it has time. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import type { LayerPatch, ReportedLayer } from './apply-report.ts';

/** As of a migration itself (control/compute/server-migration/record.ts). */
const stallMs = 10 * 60_000;
const extendMs = 60_000;

type Known = Pick<ReportedLayer, 'desired_source' | 'observed_step'>;
type Said = Pick<LayerPatch, 'observed_state' | 'observed_step' | 'observed_error'>;

/** The host's step says how many bytes are there. One that has failed begins anew: that is no progress. */
export const isCopiedFurther = ({ desired_source: source, observed_step: before }: Known, said: Said): boolean =>
  source !== null &&
  'copy_of' in source &&
  said.observed_state === 'building' &&
  said.observed_error === null &&
  said.observed_step !== null &&
  said.observed_step !== before;

/** Of the operations of their servers. One that somebody holds gets it with the next word. */
export async function giveCarriesTime(tx: Tx, volumeIds: readonly string[]): Promise<void> {
  await sql`update operation set deadline = now() + ${stallMs} * interval '1 millisecond', updated_at = now()
    where id in (select o.id from volume v
        join server_migration m on m.id = (v.desired_task ->> 'migration_id')::uuid and m.phase = 'preparing'
        join operation o on o.resource_id = m.server_id and o.state = 'running' and o.generation = m.server_generation
      where ${isOneOf(sql`v.id`, volumeIds)} and v.desired_task ->> 'kind' = 'carry'
        and o.deadline < now() + ${stallMs - extendMs} * interval '1 millisecond'
      for update of o skip locked)`.execute(tx);
}
