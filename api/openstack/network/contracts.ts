/** From a table of attributes to the schemas of its routes: bodies, answers and the queries of lists. */
import { type TSchema, Type } from 'typebox';
import * as a from './answers.ts';
import type { Attributes } from './attributes.ts';
import { wordsOf } from './list-query.ts';

interface Named {
  single: string;
  plural: string;
  attributes: Attributes;
}

const pascal = (name: string): string => name.replace(/(^|_)(\w)/g, (_, _line, letter: string) => letter.toUpperCase());

/** One resource as a body may say it. */
export function bodySchema(attributes: Attributes, method: 'post' | 'put', title?: string): TSchema {
  const members = Object.entries(attributes).flatMap(([name, attribute]) => {
    if (!attribute[method] || !attribute.read) return [];
    const { schema } = attribute.read;
    return [[name, attribute.required && method === 'post' ? schema : Type.Optional(schema)] as const];
  });
  return Type.Object(Object.fromEntries(members), { additionalProperties: false, ...(title ? { title } : {}) });
}

/** One under its singular, or many under their plural; each of these may stand under its singular, too. */
export function postBody({ single, plural, attributes }: Named): TSchema {
  const one = bodySchema(attributes, 'post', `New ${pascal(single)}`);
  const wrapped = Type.Object({ [single]: one });
  return Type.Union([
    wrapped,
    Type.Object({ [plural]: Type.Array(Type.Union([one, wrapped]), { minItems: 1, maxItems: 1000 }) }),
  ]);
}

export const putBody = ({ single, attributes }: Omit<Named, 'plural'>): TSchema =>
  Type.Object({ [single]: bodySchema(attributes, 'put', `${pascal(single)} change`) });

function shownSchema(attributes: Attributes, title: string, options: { part: boolean }): TSchema {
  const members = Object.entries(attributes).flatMap(([name, { show, admin }]) =>
    show ? [[name, admin || options.part ? Type.Optional(show) : show] as const] : [],
  );
  return Type.Object(Object.fromEntries(members), { additionalProperties: false, title });
}

/** Answers: whole, and in part where the query may choose `fields`. */
export function answers({ single, plural, attributes }: Named) {
  const whole = shownSchema(attributes, pascal(single), { part: false });
  const part = shownSchema(attributes, `${pascal(single)} fields`, { part: true });
  return {
    one: a.record({ [single]: whole }),
    made: Type.Union([a.record({ [single]: whole }), a.record({ [plural]: Type.Array(whole) })]),
    onePart: a.record({ [single]: part }),
    list: a.record({ [plural]: Type.Array(part), [`${plural}_links`]: Type.Optional(a.links) }),
  };
}

/** A parameter that may repeat. */
export const many = Type.Union([Type.String(), Type.Array(Type.String())]);

export const fieldsQuery = Type.Object({ fields: Type.Optional(many) });

/** Filters by the attributes that have a column, and the words of pages, orders and tags. */
export function listQuery(attributes: Attributes, columns: Readonly<Record<string, unknown>>): TSchema {
  const filters = Object.entries(attributes).flatMap(([name, { noFilter, to }]) =>
    !noFilter && Object.hasOwn(columns, to ?? name) ? [name] : [],
  );
  const names = [...new Set([...filters, ...wordsOf(attributes)])];
  return Type.Object(Object.fromEntries(names.map((name) => [name, Type.Optional(many)])), {
    additionalProperties: false,
  });
}
