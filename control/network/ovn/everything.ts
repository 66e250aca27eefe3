/**
 * All units, page by page: those that have rows though their resource is gone, then those of the truth by keyset, in the
 * order in which they refer to each other. Nowhere is the whole list in memory.
 *
 * Gone is what this history of the database removed. What another history has left there is kept until an administrator
 * has decided: a lost database must take nobody off the network.
 */
import { sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import { pageSize } from '../../kit/projection/index.ts';
import type { Actual } from './actual.ts';
import { dropUnit, idForm, idOf, kindOf, phases, type Unit, type UnitKind, unit } from './units.ts';

const resources = phases.filter((kind) => kind !== 'cloud');

export async function* everything(
  db: Queryable,
  actual: Actual,
  { keepGone = false } = {},
): AsyncGenerator<readonly Unit[]> {
  yield [dropUnit];
  if (!keepGone) yield* gone(db, actual);
  for (const kind of resources) {
    for (let after: string | undefined = '00000000-0000-0000-0000-000000000000'; after !== undefined; ) {
      const { rows }: { rows: { id: string }[] } = await sql<{ id: string }>`
        select id from ${sql.table(kind)} where id > ${after} order by id limit ${pageSize}`.execute(db);
      if (rows.length > 0) yield rows.map(({ id }) => unit(kind, id));
      after = rows.length < pageSize ? undefined : rows.at(-1)!.id;
    }
  }
}

/** Owners of rows in the northbound database whose resource is not there any more: first, for they may hold names. */
export async function* gone(db: Queryable, actual: Actual): AsyncGenerator<readonly Unit[]> {
  const look = async (owners: Set<Unit>): Promise<Unit[]> => {
    const missing = [...owners].filter((name) => name !== dropUnit && !idForm.test(idOf(name)));
    for (const kind of resources) {
      const ids = [...owners].filter((name) => kindOf(name) === kind && idForm.test(idOf(name))).map(idOf);
      if (ids.length > 0) missing.push(...(await missingOf(db, kind, ids)));
    }
    return missing;
  };
  let owners = new Set<Unit>();
  for (const owner of actual.owners()) {
    if (owners.add(owner).size < pageSize) continue;
    const missing = await look(owners);
    if (missing.length > 0) yield missing;
    owners = new Set();
  }
  const missing = await look(owners);
  if (missing.length > 0) yield missing;
}

async function missingOf(db: Queryable, kind: UnitKind, ids: readonly string[]): Promise<Unit[]> {
  const { rows } = await sql<{ id: string }>`
    select given.id from unnest(${[...ids]}::uuid[]) as given (id)
    where not exists (select from ${sql.table(kind)} there where there.id = given.id)`.execute(db);
  return rows.map(({ id }) => unit(kind, id));
}
