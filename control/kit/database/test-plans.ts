/**
 * For tests: what PostgreSQL did for each statement, as its own auto_explain tells it to the connection that asked.
 * Statements inside triggers and referential checks are told as well.
 */
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

/** Answers a database whose statements are explained; `waste` empties the list of those that read much for nothing. */
export function explainedDatabase(url: Secret): { database: Database; waste(atLeast: number): Waste[] } {
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const separator = url.reveal().includes('?') ? '&' : '?';
  const explained = `${url.reveal()}${separator}options=${encodeURIComponent(options.join(' '))}`;
  const database = new Database({ url: new Secret(explained) });
  let found: Waste[] = [];
  database.pool.on('connect', (client: pg.PoolClient) => {
    client.on('notice', ({ message }) => {
      const [, plan] = /^duration: .*? plan:\s*(\{.*)$/s.exec(message ?? '') ?? [];
      if (plan !== undefined) found.push(...wasteOf(JSON.parse(plan)));
    });
  });
  return {
    database,
    waste(atLeast) {
      const all = found.filter(({ removed, answered }) => removed >= atLeast && removed > answered);
      found = [];
      return all;
    },
  };
}

/** Rows of a table that a statement may read for each row of its answer. */
const perRow = 30;

function wasteOf({ 'Query Text': statement, Plan }: { 'Query Text': string; Plan: PlanNode }): Waste[] {
  const nodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodes)];
  const whole = Plan['Actual Rows'] ?? 0;
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
