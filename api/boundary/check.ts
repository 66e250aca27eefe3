/** Schemas as functions, compiled at first use: a control process compiles only what is really called. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { SchemaError } from './contract.ts';
import { excerpt } from './excerpt.ts';

interface Compiled {
  Check(value: unknown): boolean;
  Errors(value: unknown): unknown;
}

const compiled = new WeakMap<TSchema, Compiled>();

function compile(schema: TSchema): Compiled {
  let check = compiled.get(schema);
  if (!check) {
    check = Compile(schema);
    compiled.set(schema, check);
  }
  return check;
}

export const fits = (schema: TSchema, value: unknown): boolean => compile(schema).Check(value);

/** What is wrong with a value that does not fit; of a huge one perhaps nothing, where its beginning would. */
export const faultsOf = (schema: TSchema, value: unknown): SchemaError[] =>
  compile(schema).Errors(excerpt(value)) as SchemaError[];
