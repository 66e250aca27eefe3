/** Lists that are short and made here, of agents, zones and the like: asked for as all lists are, by filters, fields and order. Pure. */
import { Type } from 'typebox';
import { badRequest } from './attributes.ts';
import { many } from './contracts.ts';
import type { RawQuery } from './list-query.ts';

const words = ['fields', 'sort_key', 'sort_dir', 'limit', 'marker', 'page_reverse'];

/** Whatever else is asked by is refused by name, so it has to get as far as that. */
export const shortQuery = (...filters: string[]) =>
  Type.Object(Object.fromEntries([...filters, ...words].map((name) => [name, Type.Optional(many)])), {
    additionalProperties: Type.Optional(many),
  });

const listOf = (value: string | string[] | undefined): string[] => [value ?? []].flat();

/** @throws CloudError `invalid` for a filter or an order that there is not */
export function shortList<Row extends object>(
  rows: readonly Row[],
  raw: RawQuery,
  filters: readonly (keyof Row & string)[],
) {
  const unknown = Object.keys(raw).filter((name) => !words.includes(name) && !filters.some((one) => one === name));
  if (unknown.length > 0) {
    const named = unknown.slice(0, 20).map((name) => `'${name.slice(0, 80)}'`);
    throw badRequest(`[${named.join(', ')}] is invalid attribute for filtering`);
  }
  const asked = filters.flatMap((name) => (raw[name] === undefined ? [] : [[name, listOf(raw[name])] as const]));
  const found = rows.filter((row) => asked.every(([name, values]) => values.some((value) => is(row[name], value))));
  const [key] = listOf(raw.sort_key);
  const by = filters.find((name) => name === key);
  if (key !== undefined && by === undefined)
    throw badRequest(`['${key.slice(0, 80)}'] is invalid attribute for sort_keys`);
  const [direction = 'asc'] = listOf(raw.sort_dir);
  if (direction !== 'asc' && direction !== 'desc')
    throw badRequest(`'${direction.slice(0, 80)}' is invalid attribute for sort_dirs`);
  const sorted = by === undefined ? found : found.toSorted((a, b) => compare(a[by], b[by]));
  const fields = listOf(raw.fields).filter((field) => field !== '');
  return (direction === 'desc' && by !== undefined ? sorted.reverse() : sorted).map((row) => only(row, fields));
}

const is = (value: unknown, asked: string): boolean =>
  typeof value === 'boolean' ? (value ? /^(?:true|1)$/i : /^(?:false|0)$/i).test(asked) : String(value) === asked;

const compare = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0);

const only = <Row extends object>(row: Row, fields: readonly string[]): Partial<Row> =>
  fields.length === 0
    ? row
    : (Object.fromEntries(Object.entries(row).filter(([name]) => fields.includes(name))) as Partial<Row>);
