/**
 * For tests: what PostgreSQL did for each statement, as its own auto_explain tells it to the connection that asked.
 * Statements inside triggers and referential checks are told as well.
 */
import { sql } from 'kysely';
import type pg from 'pg';
import { Secret } from '../../../contract/secret.ts';
import { Database } from './database.ts';

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: PlanNode[];
}

export interface Waste {
  statement: string;
  table: string;
  /** Rows that were read for nothing. */
  removed: number;
  answered: number;
}

const settings = {
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_timing': 'off',
  'auto_explain.log_format': 'json',
  'auto_explain.log_nested_statements': 'on',
  client_min_messages: 'log',
};

/** Hears what PostgreSQL did for each statement of databases whose connections have {@link settings}. */
class Plans {
  #found: Waste[] = [];

  hear({ pool }: Database): void {
    pool.on('connect', (client: pg.PoolClient) => {
      client.on('notice', ({ message }) => {
        const [, plan] = /^duration: .*? plan:\s*(\{.*)$/s.exec(message ?? '') ?? [];
        if (plan !== undefined) this.#found.push(...wasteOf(JSON.parse(plan)));
      });
    });
  }

  /** Empties the list of what read at least so many rows for nothing, and more than it answered. */
  waste(atLeast: number): Waste[] {
    const all = this.#found.filter(({ removed, answered }) => removed >= atLeast && removed > answered);
    this.#found = [];
    return all;
  }
}

/** Answers a database whose statements are explained; `waste` empties the list of those that read much for nothing. */
export function explainedDatabase(url: Secret): { database: Database; waste(atLeast: number): Waste[] } {
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const separator = url.reveal().includes('?') ? '&' : '?';
  const explained = `${url.reveal()}${separator}options=${encodeURIComponent(options.join(' '))}`;
  const database = new Database({ url: new Secret(explained) });
  const plans = new Plans();
  plans.hear(database);
  return { database, waste: (atLeast) => plans.waste(atLeast) };
}

/**
 * From now on every new connection to this database is explained, whoever makes it; who is to be heard is given to `hear` before it connects. Tables
 * that are read whole cost as much as if they were large: of a small one PostgreSQL would choose to.
 */
export async function explainAll({ query }: Database): Promise<Plans> {
  for (const [name, value] of Object.entries({ ...settings, seq_page_cost: '40' })) {
    await sql`do ${sql.lit(`begin execute format('alter database %I set ${name} = %L', current_database(), '${value}'); end`)}`.execute(
      query,
    );
  }
  return new Plans();
}

/** Rows of a table that a statement may read for each row of its answer. */
const perRow = 30;

function wasteOf({ 'Query Text': statement, Plan }: { 'Query Text': string; Plan: PlanNode }): Waste[] {
  const nodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodes)];
  // What writes answers nothing, or what it was asked to return: it needed what it found.
  const top = Plan['Node Type'] === 'ModifyTable' ? (Plan.Plans?.[0] ?? Plan) : Plan;
  const whole = top['Actual Rows'] ?? 0;
  return nodes(Plan).flatMap((node) => {
    const loops = node['Actual Loops'] ?? 1;
    const [table, rows] = [node['Relation Name'], (node['Actual Rows'] ?? 0) * loops];
    if (!table || !/Scan$/.test(node['Node Type'])) return [];
    const removed = ((node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)) * loops;
    // What a join read and threw away is told by no filter: a statement may read some rows for each that it answers.
    const forNothing = Math.max(removed, rows - perRow * Math.max(whole, 1));
    return forNothing <= 0 ? [] : [{ statement, table, removed: forNothing, answered: removed > 0 ? rows : whole }];
  });
}
