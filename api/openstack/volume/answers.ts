/** What Cinder's answers are made of. Members that only some microversions have may be absent. */
import { type TSchema, Type } from 'typebox';
import * as a from '../network/answers.ts';

export { byName, listOf, number, query, some, textsByName } from '../compute/answers.ts';
export { boolean, id, integer, links, list, none, one, orNull, record, text, texts } from '../network/answers.ts';

export const time = Type.String({ description: 'UTC, with microseconds and without a zone' });

/** The form of every refusal: one member, named by the status. */
export const cinderFault = Type.Record(Type.String(), a.record({ code: a.integer, message: a.text }), {
  title: 'Fault',
});

/** A page of a collection. `links` is Cinder's name for the member with the next page's link. */
export const pageOf = (collection: string, item: TSchema, links = `${collection}_links`) => ({
  200: a.record({ [collection]: Type.Array(item), [links]: Type.Optional(a.links) }),
});
