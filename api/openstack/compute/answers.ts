/** What Nova's answers are made of. Members that only some microversions have may be absent. */
import { type TSchema, Type } from 'typebox';
import * as a from '../network/answers.ts';

export { boolean, id, integer, links, list, none, one, orNull, record, text, texts } from '../network/answers.ts';

/** A member that not every version, or not every caller, is shown. */
export const some = Type.Optional;
export const number = Type.Number();
export const byName = (schema: TSchema): TSchema => Type.Record(Type.String(), schema);
export const textsByName = byName(Type.String());

/** The form of every refusal: one member, named by the status. */
export const novaFault = Type.Record(Type.String(), a.record({ code: a.integer, message: a.text }), { title: 'Fault' });

export const listOf = <T extends TSchema>(schema: T) => Type.Array(schema);

const parameter = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));

/** Parameters that a route reads. Which versions refuse others is the reader's rule (`refuseUnknown`). */
export const query = (...names: readonly string[]): TSchema =>
  Type.Object(Object.fromEntries(names.map((name) => [name, parameter])));
