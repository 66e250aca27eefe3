/** A plain sentence for what a schema refuses, for dialects without a habit of their own. */
import type { Part, SchemaError, SchemaFault } from './contract.ts';

/** What is missing or unknown says more than the types around it; of alternatives the last sums up. */
export function mainFault(errors: readonly SchemaError[]): SchemaError | undefined {
  return (
    errors.find(({ keyword }) => keyword === 'additionalProperties') ??
    errors.find(({ keyword }) => keyword === 'required') ??
    errors.find(({ keyword }) => keyword === '~refine') ??
    errors.at(-1)
  );
}

/** The names on the way to a value. */
export const pathOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));

/** The names that an error is about: those missing, those unknown, or the place of a wrong value. */
export function namesOf(error: SchemaError): string[] {
  const listed = error.params.additionalProperties ?? error.params.requiredProperties;
  return Array.isArray(listed) ? listed.map(String) : pathOf(error.instancePath);
}

export function plainSentence(part: Part, { errors, value }: SchemaFault): string {
  const error = mainFault(errors);
  if (!error) return `the ${part} is invalid`;
  const place = pathOf(error.instancePath).join('.').slice(0, 255);
  const where = place === '' ? `the ${part}` : place;
  if (error.keyword === 'required') return `${where} needs ${namesOf(error)[0]}`;
  if (error.keyword === 'additionalProperties') return `${where} has no ${namesOf(error).join(', ').slice(0, 255)}`;
  if (part === 'body' && value === undefined) return 'the request needs a body';
  return `${where} ${error.message}`;
}
