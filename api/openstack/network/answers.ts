/** What Neutron's answers are made of. */
import { type TSchema, Type } from 'typebox';

export const text = Type.String();
export const id = Type.String({ description: 'A UUID' });
export const time = Type.String({ description: 'UTC, without a fraction of a second' });
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

/** The form of every refusal. */
export const neutronFault = Type.Object(
  { NeutronError: record({ type: text, message: text, detail: text }) },
  { title: 'Fault' },
);
