/** What Cinder's answers are made of. Members that only some microversions have may be absent. */
import { type TSchema, Type } from 'typebox';
import * as a from '../common/answers.ts';

export {
  boolean,
  byName,
  id,
  integer,
  links,
  list,
  listOf,
  none,
  number,
  one,
  orNull,
  query,
  record,
  some,
  text,
  texts,
  textsByName,
} from '../common/answers.ts';

export const time = Type.String({ description: 'UTC, with microseconds and without a zone' });

/** The form of every refusal: one member, named by the status. */
export const cinderFault = Type.Record(Type.String(), a.record({ code: a.integer, message: a.text }), {
  title: 'Fault',
});

/** A page of a collection. `links` is Cinder's name for the member with the next page's link. */
export const pageOf = (collection: string, item: TSchema, links = `${collection}_links`) => ({
  200: a.record({ [collection]: Type.Array(item), [links]: Type.Optional(a.links) }),
});
