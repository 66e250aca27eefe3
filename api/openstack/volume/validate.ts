/** Cinder's basic types of bodies (cinder/api/validation/parameter_types.py), and its sentences for what is wrong, which are Nova's. */
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import * as v from '../common/validate.ts';

export {
  boolean,
  integer,
  looseBoolean,
  sentences,
  since,
  strict,
  text,
  toBoolean,
  uuid,
  when,
} from '../common/validate.ts';

/** May be of any script; not of spaces alone. */
export const name = Type.Refine(
  v.text(1, 255),
  (text) => v.printable(text) && text.trim() !== '',
  () => 'is not a name: printable characters, not white space alone',
);
/** A name that may be empty or missing. */
export const nameOrNull = Type.Union([v.text(0, 255), Type.Null()]);
export const description = Type.Union([v.text(0, 255), Type.Null()]);
export const uuidOrNull = Type.Union([v.uuid, Type.Null()]);
export const isUuid = (text: string): boolean => parseId(text) !== undefined;
/** Keys and values of 255 characters. */
export const metadata = Type.Refine(
  Type.Record(Type.String(), v.text(0, 255)),
  (values) => Object.keys(values).every(v.metadataKey),
  () => 'a key is empty, longer than 255 characters or not printable',
);
const specKey = /^[\p{L}\p{M}\p{N}_:. /-]{1,255}$/u;
const specs = (keys: RegExp) =>
  Type.Refine(
    Type.Record(Type.String(), v.text(0, 255)),
    (values) => Object.keys(values).every((key) => keys.test(key)),
    () => 'a key is empty, longer than 255 characters, or has others than letters, digits and -_:. /',
  );
/** What a type is made with. */
export const extraSpecs = specs(specKey);
/** What is set later: keys are parts of paths then. */
export const keyedSpecs = specs(/^[\p{L}\p{M}\p{N}_:.-]{1,255}$/u);
/** One of them, which the path names again. */
export const oneSpec = Type.Refine(
  keyedSpecs,
  (values) => Object.keys(values).length === 1,
  () => 'exactly one key is wanted',
);
/** Of a pool: `host@pool`, perhaps with what follows `#`. */
export const hostName = Type.Union([
  Type.Refine(
    v.text(1, 255),
    (text) => /^[\p{L}\p{M}\p{N}._#@:/+[\]-]+$/u.test(text),
    () => 'is no name of a host',
  ),
  Type.Null(),
]);
