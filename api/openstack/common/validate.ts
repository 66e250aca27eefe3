/**
 * Checks of bodies and query strings against schemas that depend on the microversion, with the sentences that Nova and Cinder have for what is
 * wrong; and the basic types that both have.
 */
import { type TOptional, type TSchema, Type } from 'typebox';
import type { CloudError } from '../../../contract/errors.ts';
import { serverLimits } from '../../../contract/host/limits.ts';
import { parseId } from '../../../contract/ids.ts';
import { type SchemaError, type Sentences, Versions } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { causeOf, mainFault, namesOf, pathOf } from '../../boundary/sentences.ts';

const codePoints = (text: string): number => [...text].length;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
export const printable = (text: string): boolean => !control.test(text);

export const text = (minimum: number, maximum: number) =>
  Type.Refine(
    Type.Refine(
      Type.String(),
      (v) => codePoints(v) >= minimum,
      (v) => `'${v}' is too short`,
    ),
    (v) => codePoints(v) <= maximum,
    () => 'the text is too long',
  );

const truths = new Map<unknown, boolean>([
  ...[true, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes'].map((v) => [v, true] as const),
  ...[false, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no'].map((v) => [v, false] as const),
]);
export const boolean = Type.Refine(
  Type.Union([Type.Boolean(), Type.String()]),
  (v) => truths.has(v),
  (v) => `${JSON.stringify(v)} is no boolean`,
);
export const toBoolean = (value: boolean | string): boolean => truths.get(value) ?? false;
/** As oslo's bool_from_string: what is not understood is the default. */
export const looseBoolean = (value: string, otherwise = false): boolean =>
  truths.get(value.trim().toLowerCase()) ??
  (/^(t|y)$/i.test(value) ? true : /^(f|n)$/i.test(value) ? false : otherwise);

export const integer = (minimum: number, maximum = 0x7fffffff) =>
  Type.Refine(
    Type.Union([Type.Integer(), Type.String({ pattern: '^[0-9]{1,15}$' })]),
    (v) => Number(v) >= minimum && Number(v) <= maximum,
    (v) => `${v} is not between ${minimum} and ${maximum}`,
  );

export const uuid = Type.Refine(
  Type.String(),
  (v) => parseId(v) !== undefined,
  (v) => `'${v}' is not a 'uuid'`,
);

/** Nova allows the keys [a-zA-Z0-9-_:. ]; here any printable characters will do. */
export const metadataKey = (key: string): boolean =>
  codePoints(key) >= 1 && codePoints(key) <= serverLimits.metadataKeyLength && printable(key);

/** An object without unknown properties; those that `when` left out are unknown. */
export const strict = <T extends Record<string, TSchema>>(properties: T) =>
  Type.Object(Object.fromEntries(Object.entries(properties).filter(([, schema]) => schema !== undefined)) as T, {
    additionalProperties: false,
  });

/** An optional property that only some versions know. */
export const when = <T extends TSchema>(known: boolean, schema: T): TOptional<T> =>
  (known ? Type.Optional(schema) : undefined) as TOptional<T>;

/** A schema of its own from each of these versions on. */
export const since = <T extends TSchema>(starts: readonly number[], schema: (version: number) => T): Versions<T> =>
  new Versions(Object.fromEntries(starts.map((version) => [version, () => schema(version)])));

/** What Nova says of a part that its schema refuses. */
export const sentences: Sentences = {
  refuse: (_part, { errors, value }) => explain(errors, value),
  noAction: (name) =>
    new Refusal(
      'invalid',
      name === undefined
        ? 'Malformed request body: it must name one action'
        : `There is no such action: ${name.slice(0, 100)}`,
    ),
  unstorable: (part, why) => new Refusal('invalid', `Invalid input: the ${part} can't be taken: ${why}`),
};

function explain(errors: readonly SchemaError[], body: unknown): CloudError {
  const error = mainFault(errors);
  if (!error) return new Refusal('invalid', 'The request body is invalid.');
  const path = pathOf(error.instancePath);
  const field = path.at(-1) ?? '';
  const where = field === '' ? 'Invalid input.' : `Invalid input for field/attribute ${field.slice(0, 255)}.`;
  if (error.keyword === 'additionalProperties') {
    const unknown = namesOf(error)
      .slice(0, 20)
      .map((key) => `'${key.slice(0, 255)}'`)
      .join(', ');
    const verb = unknown.includes(', ') ? 'were' : 'was';
    return new Refusal('invalid', `${where} Additional properties are not allowed (${unknown} ${verb} unexpected)`);
  }
  if (error.keyword === 'required') {
    return new Refusal('invalid', `${where} '${namesOf(error)[0]}' is a required property`);
  }
  const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], body);
  const shown = (JSON.stringify(value) ?? 'undefined').slice(0, 100);
  return new Refusal('invalid', `${where} Value: ${shown}. ${causeOf(errors, error)}`);
}
