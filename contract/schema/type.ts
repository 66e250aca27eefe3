/**
 * Builders of JSON Schemas, typed as TypeBox's so that `Static` derives the types. Only the kinds that a contract between
 * processes needs, and plain objects: a host process would pay 7 MiB of memory for TypeBox's own builders and 14 for its
 * compiler, which the control process has anyway. TypeBox and Fastify read them like their own. Pure.
 */
import type {
  TArray,
  TBoolean,
  TInteger,
  TLiteral,
  TNull,
  TObject,
  TOptional,
  TProperties,
  TSchema,
  TString,
  TUnion,
  TUnsafe,
} from 'typebox';

const made = <T extends TSchema>(schema: object): T => schema as T;

export interface TextOptions {
  pattern?: string;
  format?: Format;
}

/** Forms of text that no pattern says well; see read.ts. */
export type Format = 'ip' | 'cidr' | 'https-origin' | 'base64' | 'time';

/** Lengths count code points, as JSON Schema and every API of ours do. */
export const text = (maxLength: number, options: TextOptions = {}): TString =>
  made({ type: 'string', maxLength, ...options });

/** An id in the one form that the cloud writes. */
export const id = <T extends string>(): TUnsafe<T> =>
  made({ type: 'string', pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' });

/** A moment of UTC, as ISO 8601 writes it, with its day and its time: one that there is, since whoever gets it may count with it. */
export const time: TString = text(40, { format: 'time' });

export const integer = (minimum: number, maximum: number): TInteger => made({ type: 'integer', minimum, maximum });

/** Generations, epochs, bytes: what only grows. */
export const count: TInteger = integer(0, Number.MAX_SAFE_INTEGER);

export const boolean: TBoolean = made({ type: 'boolean' });

export const literal = <const T extends string | number>(value: T): TLiteral<T> => made({ const: value });

export const oneOf = <const T extends readonly (string | number)[]>(...values: T): TUnsafe<T[number]> =>
  made({ enum: values });

export const nullable = <T extends TSchema>(schema: T): TUnion<[T, TNull]> =>
  made({ anyOf: [schema, { type: 'null' }] });

/** How the elements of a list are read beyond their own schema. */
export interface ListOptions {
  /** The elements are objects, and no two have the same value there. */
  distinct?: string;
  /** Elements that do not fit are left out; else they spoil the list. */
  misfits?: 'left out';
}

export const list = <T extends TSchema>(items: T, maxItems: number, options: ListOptions = {}): TArray<T> =>
  made({ type: 'array', items, maxItems, ...options });

/** Elements that a message only carries: each is read alone, so that one that can't be read harms no other. */
export const documents = <T>(maxItems: number): TUnsafe<T[]> => made({ type: 'array', items: {}, maxItems });

/** Any keys, each with a text. */
export const dictionary = (limits: {
  maxProperties: number;
  maxKeyLength: number;
  maxValueLength: number;
}): TUnsafe<Record<string, string>> =>
  made({
    type: 'object',
    maxProperties: limits.maxProperties,
    propertyNames: text(limits.maxKeyLength),
    additionalProperties: text(limits.maxValueLength),
  });

export const optional = <T extends TSchema>(schema: T): TOptional<T> => made({ ...schema, '~optional': true });

/** Unknown fields are allowed and left out by the reader: a newer peer may say more. */
export const object = <T extends TProperties>(properties: T): TObject<T> =>
  made({
    type: 'object',
    required: Object.keys(properties).filter((key) => !('~optional' in properties[key]!)),
    properties,
  });
