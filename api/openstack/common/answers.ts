/** What answers are made of, whose ever: each service's own `answers.ts` hands it on beside its own. */
import { type TSchema, Type } from 'typebox';

export const text = Type.String();
export const id = Type.String({ description: 'A UUID' });
export const integer = Type.Integer();
export const boolean = Type.Boolean();
export const texts = Type.Array(Type.String());
export const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()]);
export const one = (...values: readonly (string | number)[]) => Type.Union(values.map((value) => Type.Literal(value)));
export const record = (properties: Readonly<Record<string, TSchema>>) =>
  Type.Object(properties, { additionalProperties: false });
export const list = (properties: Readonly<Record<string, TSchema>>) => Type.Array(record(properties));
/** Of things that there are none of in this release. */
export const none = Type.Array(Type.Unknown(), { maxItems: 0 });
export const nothing = Type.Null();

export const links = list({ rel: text, href: text });

/** A member that not every version, or not every caller, is shown. */
export const some = Type.Optional;
export const number = Type.Number();
export const byName = (schema: TSchema): TSchema => Type.Record(Type.String(), schema);
export const textsByName = byName(Type.String());
export const listOf = <T extends TSchema>(schema: T) => Type.Array(schema);

const parameter = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));

/** Parameters that a route reads. Which versions refuse others is the reader's rule (`refuseUnknown`). */
export const query = (...names: readonly string[]): TSchema =>
  Type.Object(Object.fromEntries(names.map((name) => [name, parameter])));
