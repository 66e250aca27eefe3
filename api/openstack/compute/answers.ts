/** What Nova's answers are made of. Members that only some microversions have may be absent. */
import { Type } from 'typebox';
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

/** The form of every refusal: one member, named by the status. */
export const novaFault = Type.Record(Type.String(), a.record({ code: a.integer, message: a.text }), { title: 'Fault' });
