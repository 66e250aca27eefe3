/** Queries and bodies of the native dialect: known names only, in a query each once, and numbers and ids that are some. What is not known is told what is. */
import { Type } from 'typebox';
import { parseId } from '../../contract/ids.ts';
import type { Part, SchemaFault, Sentences } from '../boundary/contract.ts';
import { Refusal } from '../boundary/refusal.ts';
import { namesOf, pathOf, plainSentence } from '../boundary/sentences.ts';

/** A whole number. */
export const numberText = (lowest: number, highest: number) =>
  Type.Refine(
    Type.String({ examples: [String(lowest)] }),
    (text) => /^\d{1,9}$/.test(text) && Number(text) >= lowest && Number(text) <= highest,
    () => `is a whole number from ${lowest} to ${highest}`,
  );

export const idText = Type.Refine(
  Type.String({ examples: ['0198c0de-0000-7000-8000-000000000001'] }),
  (text) => parseId(text) !== undefined,
  () => 'is no id',
);

/** There, and not told to be off. */
export const flagText = Type.String({ examples: ['true'] });

export const flag = (value: string | undefined): boolean =>
  value !== undefined && !['0', 'false', 'no'].includes(value.toLowerCase());

/** An object of such parameters and no others. */
export const parameters = <T extends Parameters<typeof Type.Object>[0]>(known: T) =>
  Type.Object(known, { additionalProperties: false });

export const nativeSentences: Sentences = {
  refuse: (part, fault) => new Refusal('invalid', sentenceOf(part, fault)),
};

function sentenceOf(part: Part, fault: SchemaFault): string {
  if (part === 'query') return querySentence(fault);
  const unknown = fault.errors.find(({ keyword }) => keyword === 'additionalProperties');
  const known = part === 'body' && unknown ? knownAt(fault.contract.body, pathOf(unknown.instancePath)) : [];
  const sentence = plainSentence(part, fault);
  return known.length === 0 ? sentence : `${sentence}; there are ${known.join(', ')}`;
}

/** The names that the schema has at that place; none where it is no plain object. */
function knownAt(schema: unknown, path: readonly string[]): string[] {
  const [name, ...rest] = path;
  const properties = (schema as { properties?: Record<string, unknown> } | undefined)?.properties ?? {};
  if (name === undefined) return Object.keys(properties);
  return Object.hasOwn(properties, name) ? knownAt(properties[name], rest) : [];
}

function querySentence(fault: SchemaFault): string {
  const { errors, value, contract } = fault;
  const unknown = errors.find(({ keyword }) => keyword === 'additionalProperties');
  if (unknown) {
    const known = Object.keys((contract.query as { properties?: object }).properties ?? {});
    return `there is no parameter ${namesOf(unknown)[0]?.slice(0, 255)}; there are ${known.join(', ')}`;
  }
  const [name = ''] = pathOf(errors[0]?.instancePath ?? '');
  if (Array.isArray((value as Record<string, unknown>)[name])) return `${name} can be given only once`;
  return plainSentence('query', fault);
}
