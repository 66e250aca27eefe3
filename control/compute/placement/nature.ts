/** What one host is, for who is on it already. SQL, nothing else. */
import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import type { HostNature } from './host-wish.ts';
import { type TraitSource, traitsOf } from './traits.ts';

/** What {@link natureFrom} is made of, as columns of `host h`. */
export const natureColumns: RawBuilder<unknown> = sql`h.enabled, h.forced_down, h.traits as custom_traits,
  h.facts ->> 'architecture' as architecture,
  coalesce((select json_agg(a.metadata order by a.number) from aggregate_host x join aggregate a on a.id = x.aggregate_id
    where x.host_id = h.id), '[]') as aggregates`;

export interface NatureRow extends TraitSource {
  custom_traits: string[];
  aggregates: readonly Readonly<Record<string, string>>[];
}

export const natureFrom = ({ custom_traits, aggregates, ...source }: NatureRow): Required<HostNature> => ({
  traits: [...custom_traits, ...traitsOf(source)].sort(),
  aggregates,
});

/** Undefined: there is no such host. */
export async function natureOf(db: Queryable, hostId: string): Promise<HostNature | undefined> {
  const { rows } = await sql<NatureRow>`select ${natureColumns} from host h where h.id = ${hostId}`.execute(db);
  return rows[0] && natureFrom(rows[0]);
}
