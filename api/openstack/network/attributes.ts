/**
 * Attributes: what a body may say. Each resource describes its own once; this reads a body by the description, with
 * Neutron's own words for what is wrong, and answers what control understands.
 */
import { type TSchema, Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { parseIp, parseMac } from '../../../control/kit/address.ts';
import * as a from './answers.ts';
import { neutronRefusal } from './fault.ts';

/** Reads one value or throws {@link Unreadable}; its schema takes all that it can read, and nothing of another type. */
export interface Reader {
  (value: unknown): unknown;
  schema: TSchema;
}

export const reader = (schema: TSchema, read: (value: unknown) => unknown): Reader =>
  Object.assign((value: unknown) => read(value), { schema });

export interface Attribute {
  /** The name in control where it differs. */
  to?: string;
  post?: boolean;
  put?: boolean;
  required?: boolean;
  read?: Reader;
  /** What an answer shows; undefined: it is in no answer. */
  show?: TSchema;
  /** Not a column that a list can be filtered by. */
  noFilter?: boolean;
  /** Only administrators see it or filter by it. */
  admin?: boolean;
}

export type Attributes = Readonly<Record<string, Attribute>>;

/** Why a value can't be read; the reader of the body says whose value it is. */
export class Unreadable extends Error {}

export const badRequest = (message: string) => neutronRefusal('invalid', 'HTTPBadRequest', message);

const shown = (value: unknown): string => {
  if (value === null || value === undefined) return 'None';
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 200);
};

export function text(maximum: number): Reader {
  return reader(Type.String({ maxLength: maximum }), (value) => {
    if (typeof value !== 'string') throw new Unreadable(`'${shown(value)}' is not a valid string.`);
    // PostgreSQL's text and Neutron's VARCHAR count characters, not UTF-16 units.
    if (value.length > maximum && [...value].length > maximum) {
      throw new Unreadable(`'${shown(value)}' exceeds maximum length of ${maximum}.`);
    }
    return value;
  });
}

const anyBoolean = Type.Union([
  Type.Boolean(),
  Type.String({ pattern: '^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)$' }),
  Type.Integer({ minimum: 0, maximum: 1 }),
]);

export const boolean: Reader = reader(anyBoolean, (value) => {
  if (typeof value === 'boolean') return value;
  const lower = typeof value === 'string' ? value.toLowerCase() : value;
  if (lower === 'true' || lower === '1' || lower === 1) return true;
  if (lower === 'false' || lower === '0' || lower === 0) return false;
  throw new Unreadable(`'${shown(value)}' cannot be converted to boolean.`);
});

const bound = 2 ** 31 - 1;
const anyInteger = Type.Union([
  Type.Integer({ minimum: -bound, maximum: bound }),
  Type.String({ pattern: '^-?\\d{1,9}$' }),
]);

export const integer: Reader = reader(anyInteger, (value) => {
  const number = typeof value === 'string' && /^-?\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || Math.abs(number) > bound) {
    throw new Unreadable(`'${shown(value)}' is not an integer.`);
  }
  return number;
});

/** With or without dashes. */
const idText = Type.String({
  pattern: '^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$',
  examples: ['0198c0de-0000-7000-8000-000000000001'],
});

export const uuid: Reader = reader(idText, (value) => {
  const id = typeof value === 'string' ? parseId(value) : undefined;
  if (id === undefined) throw new Unreadable(`'${shown(value)}' is not a valid UUID.`);
  return id;
});

export const ip: Reader = reader(Type.String({ examples: ['10.0.0.7'] }), (value) => {
  if (typeof value !== 'string' || !parseIp(value))
    throw new Unreadable(`'${shown(value)}' is not a valid IP address.`);
  return value;
});

export const mac: Reader = reader(Type.String({ examples: ['02:00:00:00:00:07'] }), (value) => {
  const read = typeof value === 'string' ? parseMac(value) : undefined;
  if (read === undefined) throw new Unreadable(`'${shown(value)}' is not a valid MAC address.`);
  return read;
});

/** Numbers may be written as texts. */
export const oneOf = (...values: readonly (string | number)[]): Reader => {
  const texts = values.flatMap((value) => (typeof value === 'number' ? [value, String(value)] : [value]));
  return reader(Type.Union(texts.map((value) => Type.Literal(value))), (value) => {
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    const found = values.find((one) => one === value || one === number);
    if (found === undefined) {
      throw new Unreadable(`'${shown(value)}' is not in [${values.map((one) => JSON.stringify(one)).join(', ')}].`);
    }
    return found;
  });
};

export const nullable = (read: Reader): Reader =>
  reader(Type.Union([read.schema, Type.Null()]), (value) => (value === null ? null : read(value)));

/** Null means the empty list. */
export const listOf = (read: Reader, maximum = 1000): Reader =>
  reader(Type.Union([Type.Array(read.schema, { maxItems: maximum }), Type.Null()]), (value) => {
    if (value === null) return [];
    if (!Array.isArray(value)) throw new Unreadable(`'${shown(value)}' is not a list.`);
    if (value.length > maximum) throw new Unreadable(`the list has more than ${maximum} items.`);
    return value.map(read);
  });

export const unique = (read: Reader): Reader =>
  reader(read.schema, (value) => {
    const list = read(value) as unknown[];
    if (new Set(list).size < list.length) throw new Unreadable(`Duplicate items in the list: '${shown(value)}'.`);
    return list;
  });

/** An object with exactly these keys; `?` at a key's end: it may be missing. */
export const object = (
  keys: Readonly<Record<string, Reader>>,
  rename: Readonly<Record<string, string>> = {},
): Reader => {
  const members = Object.entries(keys).map(([key, read]) => ({
    name: key.replace('?', ''),
    read,
    optional: key.endsWith('?'),
  }));
  const schema = Type.Object(
    Object.fromEntries(
      members.map(({ name, read, optional }) => [name, optional ? Type.Optional(read.schema) : read.schema]),
    ),
    { additionalProperties: false },
  );
  return reader(schema, (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new Unreadable(`'${shown(value)}' is not a dictionary.`);
    }
    const result: Record<string, unknown> = {};
    for (const { name, read, optional } of members) {
      const given = (value as Record<string, unknown>)[name];
      if (given !== undefined) result[rename[name] ?? name] = read(given);
      else if (!optional) throw new Unreadable(`Expected keys not found: '${name}'.`);
    }
    const unknown = Object.keys(value).find((key) => !members.some(({ name }) => name === key));
    if (unknown !== undefined) throw new Unreadable(`Unexpected keys supplied: '${shown(unknown)}'.`);
    return result;
  });
};

/** Only null or nothing: attributes of features that this cloud does not have yet. */
export const nothing: Reader = reader(
  Type.Union([
    Type.Null(),
    Type.Array(Type.Unknown(), { maxItems: 0 }),
    Type.Object({}, { additionalProperties: false }),
  ]),
  (value) => {
    const empty = value === null || (typeof value === 'object' && Object.keys(value).length === 0);
    if (!empty) throw new Unreadable(`'${shown(value)}' is not supported.`);
    return undefined;
  },
);

/** Only null: what this cloud does not have, and why. */
export const without = (why: string): Reader =>
  reader(Type.Null(), (value) => {
    if (value !== null) throw new Unreadable(why);
    return undefined;
  });

/** What every resource has. */
export const standard: Attributes = {
  id: { show: a.id },
  tenant_id: { to: 'project_id', post: true, read: uuid, show: a.id },
  project_id: { post: true, read: uuid, show: a.id },
  description: { post: true, put: true, read: text(255), show: a.text },
  revision_number: { to: 'generation', show: a.integer },
  created_at: { show: a.time },
  updated_at: { show: a.time },
};

type Method = 'post' | 'put';

/** One resource's attributes, as control names them. @throws CloudError `invalid` */
export function readAttributes(attributes: Attributes, body: unknown, method: Method): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest('Resource body required');
  }
  const unknown = Object.keys(body).filter((name) => !Object.hasOwn(attributes, name));
  if (unknown.length > 0) throw badRequest(`Unrecognized attribute(s) '${unknown.join(', ').slice(0, 200)}'`);
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    const attribute = attributes[name]!;
    if (!attribute[method]) {
      throw badRequest(
        method === 'post' ? `Attribute '${name}' not allowed in POST` : `Cannot update read-only attribute ${name}`,
      );
    }
    const read = readOne(name, attribute, value);
    const to = attribute.to ?? name;
    if (to === 'project_id' && result[to] !== undefined && result[to] !== read) {
      throw badRequest("'project_id' and 'tenant_id' do not match");
    }
    if (read !== undefined) result[to] = read;
  }
  if (method === 'put') return result;
  const missing = Object.entries(attributes).find(
    ([name, attribute]) => attribute.required && !Object.hasOwn(body, name),
  );
  if (missing) throw badRequest(`Failed to parse request. Required attribute '${missing[0]}' not specified`);
  return result;
}

function readOne(name: string, attribute: Attribute, value: unknown): unknown {
  try {
    return attribute.read!(value);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    throw badRequest(`Invalid input for ${name}. Reason: ${error.message}`);
  }
}

/** The resource(s) in a POST: one under its singular, many under its plural. */
export function readPost(
  names: { single: string; plural: string },
  attributes: Attributes,
  body: unknown,
): { bulk: boolean; wishes: Record<string, unknown>[] } {
  if (typeof body !== 'object' || body === null) throw badRequest('Resource body required');
  const { [names.single]: one, [names.plural]: many } = body as Record<string, unknown>;
  if (Array.isArray(many)) {
    if (many.length === 0 || many.length > 1000) throw badRequest('Resources required: between 1 and 1000');
    return {
      bulk: true,
      wishes: many.map((item) => readAttributes(attributes, unwrapped(names.single, item), 'post')),
    };
  }
  if (one === undefined) throw badRequest(`Unable to find '${names.single}' in request body`);
  return { bulk: false, wishes: [readAttributes(attributes, one, 'post')] };
}

/** Each of many may stand under its singular once more, as in Neutron. */
const unwrapped = (single: string, item: unknown): unknown =>
  typeof item === 'object' && item !== null && Object.hasOwn(item, single)
    ? (item as Record<string, unknown>)[single]
    : item;

export function readPut(single: string, attributes: Attributes, body: unknown): Record<string, unknown> {
  const one = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[single] : undefined;
  if (one === undefined) throw badRequest(`Unable to find '${single}' in request body`);
  return readAttributes(attributes, one, 'put');
}
