/**
 * Parts of a table of history: which there are, which shall be, and the making and dropping of one. A part's name says its days, from and
 * to: `change_20261128_20261129`. SQL only; when it is done decides keeper.ts.
 *
 * Making one and dropping one wait for a lock on the whole table for two seconds at most; nobody stands behind them longer. What comes to
 * nothing is tried again with the next look: until then the default part takes what has no other.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Queryable, Tx } from '../database/database.ts';

/** How a table tells the time of a row. */
export interface HistoryTable {
  name: 'change' | 'operation' | 'decision';
  column: 'at' | 'id';
  /** How many parts what is kept is in. What is found by its resource is looked for in each of them. */
  parts: number;
  /** Rows that stay whatever their age. */
  keeps?: RawBuilder<unknown>;
}

export const historyTables: readonly HistoryTable[] = [
  { name: 'change', column: 'at', parts: 5 },
  { name: 'operation', column: 'id', parts: 2, keeps: sql`state = 'running'` },
  { name: 'decision', column: 'id', parts: 2 },
];

export interface Part {
  name: string;
  from: Date;
  to: Date;
}

export const dayMs = 24 * 3600 * 1000;

/** All but the default part, oldest first. */
export async function partsOf(db: Queryable, table: HistoryTable): Promise<Part[]> {
  const { rows } = await sql<{ name: string }>`select child.relname as name from pg_inherits
    join pg_class child on child.oid = inhrelid where inhparent = ${table.name}::regclass order by name`.execute(db);
  return rows.flatMap(({ name }) => {
    const match = /_(\d{8})_(\d{8})$/.exec(name);
    return match ? [{ name, from: dayOf(match[1]!), to: dayOf(match[2]!) }] : [];
  });
}

/** What must be made so that there are parts until a day and more ahead. Pure. */
export function partsToMake(table: HistoryTable, parts: readonly Part[], now: Date, keepDays: number): Part[] {
  const spanMs = Math.ceil(keepDays / table.parts) * dayMs;
  const today = Math.floor(now.getTime() / dayMs) * dayMs;
  // Days that were missed, because control was away, are caught up: the default part has them.
  const oldest = today - keepDays * dayMs;
  const next = parts.length === 0 ? today : Math.max(oldest, ...parts.map(({ to }) => to.getTime()));
  const made: Part[] = [];
  for (let from = next; from <= now.getTime() + dayMs; from += spanMs) {
    const [start, end] = [new Date(from), new Date(from + spanMs)];
    made.push({ name: `${table.name}_${compact(start)}_${compact(end)}`, from: start, to: end });
  }
  return made;
}

/** What the default part took of its days moves into it. */
export async function makePart(tx: Tx, table: HistoryTable, part: Part): Promise<void> {
  const [all, rest, own] = [sql.table(table.name), sql.table(`${table.name}_default`), sql.table(part.name)];
  const [from, to] = [bound(table, part.from), bound(table, part.to)];
  const column = sql.ref(table.column);
  await wait(tx);
  // The whole table first: an insert that had chosen the default part before would else find, when it gets its lock, that its row belongs
  // to another by now, and fail. And whoever holds a part holds the whole: so it is waited for with nothing in hand.
  await sql`lock table only ${all} in access exclusive mode`.execute(tx);
  await sql`lock table ${rest} in access exclusive mode`.execute(tx);
  await sql`create table ${own} (like ${all} including defaults including constraints)`.execute(tx);
  await sql`with moved as (delete from ${rest} where ${column} >= ${from} and ${column} < ${to} returning *)
    insert into ${own} select * from moved`.execute(tx);
  await sql`alter table ${all} attach partition ${own} for values from (${from}) to (${to})`.execute(tx);
}

/** Drops a part; false where rows keep it: then only they stay. */
export async function dropPart(tx: Tx, table: HistoryTable, part: Part): Promise<boolean> {
  const own = sql.table(part.name);
  await wait(tx);
  if (table.keeps) {
    const { rows } = await sql`select from ${own} where ${table.keeps} limit 1`.execute(tx);
    if (rows.length > 0) {
      await sql`delete from ${own} where not (${table.keeps})`.execute(tx);
      return false;
    }
  }
  if (table.name === 'change') {
    await raiseFloor(
      tx,
      sql`select transaction_id, sequence from ${own} order by transaction_id desc, sequence desc limit 1`,
    );
  }
  await sql`drop table ${own}`.execute(tx);
  return true;
}

/** Deletes some of what the default part has of before `until`; answers how many rows. */
export async function emptyDefault(tx: Tx, table: HistoryTable, until: Date, limit: number): Promise<number> {
  const rest = sql.table(`${table.name}_default`);
  const kept = table.keeps ? sql`and not (${table.keeps})` : sql``;
  const gone = sql`delete from ${rest} where ctid = any(array(select ctid from ${rest}
    where ${sql.ref(table.column)} < ${bound(table, until)} ${kept} limit ${sql.lit(limit)}))`;
  if (table.name !== 'change') return Number((await gone.execute(tx)).numAffectedRows ?? 0n);
  const { rows } = await sql<{ n: number }>`with gone as (${gone} returning transaction_id, sequence),
    last as (select transaction_id, sequence from gone order by transaction_id desc, sequence desc limit 1),
    raised as (${raised(sql`select * from last`)})
    select count(*) as n from gone`.execute(tx);
  return rows[0]!.n;
}

const raised = (
  last: RawBuilder<unknown>,
) => sql`update change_floor set transaction_id = l.transaction_id, sequence = l.sequence
  from (${last}) l where (change_floor.transaction_id, change_floor.sequence) < (l.transaction_id, l.sequence)`;

/** Whoever has not read up to there has missed something, and is told. */
async function raiseFloor(tx: Tx, last: RawBuilder<unknown>): Promise<void> {
  await raised(last).execute(tx);
}

/** For those who stand behind us. */
const wait = (tx: Tx) => sql`set local lock_timeout = '2s'`.execute(tx);

/** The first value of a time: for ids the smallest UUID of that millisecond. As a literal: bounds of parts take no parameters. */
function bound(table: HistoryTable, time: Date): RawBuilder<unknown> {
  if (table.column === 'at') return sql`${sql.lit(time.toISOString())}::timestamptz`;
  const hex = time.getTime().toString(16).padStart(12, '0');
  return sql`${sql.lit(`${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`)}::uuid`;
}

const compact = (day: Date): string => day.toISOString().slice(0, 10).replaceAll('-', '');

const dayOf = (text: string): Date => new Date(`${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}T00:00:00Z`);
