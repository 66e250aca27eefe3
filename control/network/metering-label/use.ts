/** Which rules count where. SQL only. */
import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import { type Box, boxOf, type MeteringMatch, prefixesOf } from './prefixes.ts';

const match = sql`'direction', r.direction, 'remote_ip_prefix', r.remote_ip_prefix::text, 'source_ip_prefix', r.source_ip_prefix::text,
  'destination_ip_prefix', r.destination_ip_prefix::text`;

/** Of the labels that count on routers of the project, own and shared ones. */
const labelsOf = (projectId: RawBuilder<unknown>) =>
  sql`(select id from metering_label where shared union select id from metering_label where project_id = ${projectId})`;

/** All that rules of labels say of packets on the routers of this project, as the projection reads them. */
export const meteredOf = (projectId: RawBuilder<unknown>): RawBuilder<unknown> => sql`coalesce((
  select json_agg(json_build_object(${match}) order by r.id)
  from metering_label_rule r where r.metering_label_id in ${labelsOf(projectId)}), '[]')`;

export interface CountingLabel {
  id: string;
  rules: (Box & { excluded: boolean })[];
}

/** The labels that count on each of these routers. */
export async function countingLabels(
  db: Queryable,
  routerIds: readonly string[],
): Promise<ReadonlyMap<string, CountingLabel[]>> {
  if (routerIds.length === 0) return new Map();
  const { rows } = await sql<{ router_id: string; id: string; rules: (MeteringMatch & { excluded: boolean })[] }>`
    select router.id as router_id, l.id, (select json_agg(json_build_object(${match}, 'excluded', r.excluded))
        from metering_label_rule r where r.metering_label_id = l.id) as rules
    from router, lateral ${labelsOf(sql`router.project_id`)} l
    where router.id = any(${[...routerIds]}::uuid[])
      and exists (select from metering_label_rule r where r.metering_label_id = l.id)`.execute(db);
  const labels = rows.map(({ router_id, id, rules }) => ({
    router_id,
    id,
    rules: rules.map((rule) => ({ ...boxOf(prefixesOf(rule)), excluded: rule.excluded })),
  }));
  return Map.groupBy(labels, ({ router_id }) => router_id);
}
