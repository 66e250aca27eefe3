/** What the parts of the directory have in common: pages, names, attributes, options, refusals. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { json } from '../database/schema.ts';
import type { Extra } from './tables.ts';

/** Keyset paging over ids, which are in order of creation. No limit: everything, as Keystone's clients expect. */
export interface PageRequest {
  limit?: number;
  /** The last id of the page before. */
  marker?: string;
}

export interface Page<Row> {
  rows: Row[];
  /** Where the next page starts; null when this is the last. */
  next: string | null;
}

/** Reads one row more than asked for to know whether there is a next page. */
export const pageEnd = (page: PageRequest) => (page.limit === undefined ? sql`` : sql`limit ${page.limit + 1}`);
export const pageStart = (page: PageRequest, column: string) =>
  page.marker === undefined ? sql`` : sql`and ${sql.ref(column)} > ${page.marker}`;

export function toPage<Row extends { id: string }>(rows: Row[], page: PageRequest): Page<Row> {
  if (page.limit === undefined || rows.length <= page.limit) return { rows, next: null };
  const kept = rows.slice(0, page.limit);
  return { rows: kept, next: kept.at(-1)!.id };
}

export const notFound = (noun: string, id: string): CloudError =>
  new CloudError('not_found', `Could not find ${noun}: ${id}.`, { details: { [noun]: id } });

export const nameTaken = (noun: string, name: string): CloudError =>
  new CloudError(
    'conflict',
    `Conflict occurred attempting to store ${noun} - a ${noun} with the name ${name} exists already.`,
    {
      details: { name },
    },
  );

/** Code points, as people and Keystone count them. @throws CloudError `invalid` */
export function checkName(noun: string, name: string, maximum: number): void {
  if (name.trim() === '') throw new CloudError('invalid', `the name of a ${noun} can not be empty`);
  if ([...name].length > maximum) {
    throw new CloudError('invalid', `the name of a ${noun} can have at most ${maximum} characters`);
  }
}

const maxExtraBytes = 65_535;
const maxTags = 80;

/** @throws CloudError `invalid` */
export function checkExtra(extra: Extra): void {
  if (Buffer.byteLength(JSON.stringify(extra)) > maxExtraBytes) {
    throw new CloudError('invalid', `further attributes can have at most ${maxExtraBytes} bytes together`);
  }
}

/** @throws CloudError `invalid` */
export function checkTags(tags: readonly string[]): void {
  if (tags.length > maxTags) throw new CloudError('invalid', `there can be at most ${maxTags} tags`);
  if (new Set(tags).size !== tags.length) throw new CloudError('invalid', 'tags must differ from each other');
  for (const tag of tags) {
    if (tag === '' || [...tag].length > 255 || /[,/]/.test(tag)) {
      throw new CloudError('invalid', 'a tag has 1 to 255 characters, no comma and no slash');
    }
  }
}

/** Options that callers may set; null takes one back. @throws CloudError `invalid` */
export function mergeOptions(known: readonly string[], before: Extra, changes: Extra | undefined): Extra {
  const options = { ...before };
  for (const [name, value] of Object.entries(changes ?? {})) {
    if (!known.includes(name)) throw new CloudError('invalid', `there is no option ${name}`);
    if (value === null) delete options[name];
    else options[name] = value;
  }
  return options;
}

/**
 * What is immutable can be changed only by taking that option back in the same request, and not be deleted.
 * @throws CloudError `forbidden`
 */
export function checkMutable(noun: string, row: { id: string; options: Extra }, changes?: Extra): void {
  if (row.options.immutable !== true) return;
  if (changes && 'immutable' in changes && changes.immutable !== true) return;
  throw new CloudError('forbidden', `the ${noun} ${row.id} is immutable; take back its option first`);
}

/** `extra` after a PATCH: given attributes replace, others stay. */
export function mergeExtra(before: Extra, changes: Extra | undefined): string {
  const extra = { ...before, ...changes };
  checkExtra(extra);
  return json(extra);
}

/** The given columns without those that were not given. */
export function defined<T extends object>(columns: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined)) as never;
}
