/** Reading the query of a list: Glance's filters, orders and pages. Pure. */

import { Type } from 'typebox';
import {
  type Comparison,
  type ImageFilter,
  type ImageListOptions,
  memberStatuses,
  type SortKey,
  visibilities,
} from '../../../control/image/index.ts';
import { onePerKey } from '../../../control/kit/listing.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { isOfCalendar } from '../common/calendar.ts';

const defaultLimit = 25;
const maxLimit = 1000;

const sortKeys: readonly SortKey[] = [
  'name',
  'status',
  'container_format',
  'disk_format',
  'size',
  'id',
  'created_at',
  'updated_at',
];

const invalid = (message: string) => new Refusal('invalid', message);

/** @throws CloudError `invalid` */
export function parseListQuery(query: URLSearchParams): ImageListOptions {
  const limit = query.get('limit');
  const marker = query.get('marker');
  return {
    limit: limit === null ? defaultLimit : parseLimit(limit),
    sort: parseSort(query),
    filter: parseFilter(query),
    ...(marker === null ? {} : { marker }),
  };
}

function parseLimit(text: string): number {
  if (!/^-?\d+$/.test(text)) throw invalid('limit param must be an integer');
  if (text.startsWith('-')) throw invalid('limit param must be positive');
  return Math.min(Number(text), maxLimit);
}

function parseSort(query: URLSearchParams): ImageListOptions['sort'] {
  const key = (text: string): SortKey => {
    const known = sortKeys.find((candidate) => candidate === text.trim());
    if (known) return known;
    throw invalid(`Invalid sort key: ${text}. It must be one of the following: ${sortKeys.join(', ')}.`);
  };
  const descending = (text: string): boolean => {
    const direction = text.trim();
    if (direction !== 'asc' && direction !== 'desc') throw invalid(`Invalid sort direction: ${text}`);
    return direction === 'desc';
  };
  const [keys, directions] = [query.getAll('sort_key'), query.getAll('sort_dir')];
  const sort = query.get('sort');
  if (sort !== null) {
    if (keys.length + directions.length > 0) throw invalid('Old and new sorting syntax cannot be combined');
    return unique(
      sort.split(',').map((item) => {
        const [name = '', direction = 'desc'] = item.split(':');
        return { key: key(name), descending: descending(direction) };
      }),
    );
  }
  if (directions.length > 1 && directions.length !== keys.length) {
    throw invalid('Number of sort dirs does not match the number of sort keys');
  }
  const names = keys.length === 0 ? ['created_at'] : keys;
  return unique(
    names.map((name, index) => ({
      key: key(name),
      descending: descending(directions[index] ?? directions[0] ?? 'desc'),
    })),
  );
}

const unique = (sort: { key: SortKey; descending: boolean }[]) => onePerKey(sort, ({ key }) => key);

const notFilters = new Set(['limit', 'marker', 'sort', 'sort_key', 'sort_dir']);

function parseFilter(query: URLSearchParams): ImageFilter {
  const filter: ImageFilter = { memberStatus: 'accepted', hidden: false };
  const properties: [string, string][] = [];
  for (const [name, value] of query) {
    if (notFilters.has(name)) continue;
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (read) read(filter, value, name);
    else properties.push([name, value]);
  }
  if (properties.length > 0) filter.properties = Object.fromEntries(properties);
  return filter;
}

const integer = (value: string, name: string): number => {
  if (!/^\d{1,15}$/.test(value))
    throw invalid(`Unable to filter on a size by '${name}': '${value}' is not a whole number`);
  return Number(value);
};

const readers: Readonly<Record<string, (filter: ImageFilter, value: string, name: string) => void>> = {
  id: (filter, value) => {
    filter.ids = among(value);
  },
  name: (filter, value) => {
    filter.names = among(value);
  },
  status: (filter, value) => {
    filter.statuses = among(value);
  },
  container_format: (filter, value) => {
    filter.containerFormats = among(value);
  },
  disk_format: (filter, value) => {
    filter.diskFormats = among(value);
  },
  visibility: (filter, value) => {
    const known = [...visibilities, 'all' as const].find((candidate) => candidate === value);
    if (!known) throw invalid(`Invalid visibility value: ${value}`);
    filter.visibility = known;
  },
  member_status: (filter, value) => {
    const known = [...memberStatuses, 'all' as const].find((candidate) => candidate === value);
    if (!known) throw invalid(`Invalid status: ${value}`);
    filter.memberStatus = known;
  },
  owner: (filter, value) => {
    filter.owner = value;
  },
  tag: (filter, value) => {
    filter.tags = [...(filter.tags ?? []), value.trim()];
  },
  size: (filter, value, name) => {
    filter.size = integer(value, name);
  },
  size_min: (filter, value, name) => {
    filter.sizeMin = integer(value, name);
  },
  size_max: (filter, value, name) => {
    filter.sizeMax = integer(value, name);
  },
  min_disk: (filter, value, name) => {
    filter.minDiskGib = integer(value, name);
  },
  min_ram: (filter, value, name) => {
    filter.minMemoryMib = integer(value, name);
  },
  protected: (filter, value, name) => {
    filter.protected = boolean(value, name);
  },
  os_hidden: (filter, value, name) => {
    filter.hidden = boolean(value, name);
  },
  checksum: (filter, value) => {
    filter.md5 = value;
  },
  os_hash_value: (filter, value) => {
    filter.hash = value;
  },
  created_at: (filter, value, name) => {
    filter.createdAt = time(value, name);
  },
  updated_at: (filter, value, name) => {
    filter.updatedAt = time(value, name);
  },
  'changes-since': () => {
    throw invalid('The "changes-since" filter is no longer available on v2.');
  },
};

/** What may be written once, or more often. */
const texts = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));

/** Any other name is that of a property, whose value is asked for. */
export const listQuery = Type.Object(
  Object.fromEntries([...notFilters, ...Object.keys(readers)].map((name) => [name, texts])),
  { additionalProperties: texts },
);

/** What a request asked for, in the form of the links of a page. */
export const searchOf = (query: Readonly<Record<string, string | string[] | undefined>>): URLSearchParams =>
  new URLSearchParams(
    Object.entries(query).flatMap(([name, values]) =>
      [values ?? []].flat().map((value): [string, string] => [name, value]),
    ),
  );

function boolean(value: string, name: string): boolean {
  const text = value.trim().toLowerCase();
  if (['1', 't', 'true', 'on', 'y', 'yes'].includes(text)) return true;
  if (['0', 'f', 'false', 'off', 'n', 'no'].includes(text)) return false;
  throw invalid(`Invalid value '${value}' for '${name}' filter. Valid values are case sensitive 'true' or 'false'.`);
}

/** `in:a,b,"c,d"`: any of them; names with commas stand in double quotes. Other text is one value. */
function among(value: string): string[] {
  if (!value.startsWith('in:')) return [value.startsWith('eq:') ? value.slice(3) : value];
  const list = value.slice(3);
  const found: string[] = [];
  const item = /(?:"((?:[^"\\]|\\.)*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = item.exec(list);
    if (!match) throw invalid(`Invalid filter value ${value}. There is no comma or the quotes don't close.`);
    found.push(match[1] === undefined ? match[2]! : match[1].replace(/\\(.)/g, '$1'));
    if (match[3] === '') return found;
  }
}

const comparisons: readonly Comparison[] = ['gt', 'gte', 'lt', 'lte', 'eq', 'neq'];

function time(value: string, name: string): { is: Comparison; at: Date } {
  const match = /^([a-z]+):(\d.*)$/.exec(value);
  const is = match ? comparisons.find((known) => known === match[1]) : 'eq';
  const text = match?.[2] ?? value;
  const shape = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/i.test(text);
  // Without a zone it is UTC, as all of OpenStack's times.
  const zoned = /(Z|[+-]\d{2}:?\d{2})$/i.test(text.slice(10))
    ? text
    : `${text.length > 10 ? text : `${text}T00:00:00`}Z`;
  const at = new Date(zoned);
  if (!is || !shape || Number.isNaN(at.getTime()) || !isOfCalendar(text)) {
    throw invalid(
      `Unable to filter by '${name}': '${value}' is not an operator and a time, like gt:2026-01-31T00:00:00Z`,
    );
  }
  return { is, at };
}
