/** What Neutron's answers are made of. */
import { Type } from 'typebox';
import { record, text } from '../common/answers.ts';

export {
  boolean,
  id,
  integer,
  links,
  list,
  none,
  nothing,
  one,
  orNull,
  record,
  text,
  texts,
} from '../common/answers.ts';

export const time = Type.String({ description: 'UTC, without a fraction of a second' });

/** The form of every refusal. */
export const neutronFault = Type.Object(
  { NeutronError: record({ type: text, message: text, detail: text }) },
  { title: 'Fault' },
);
