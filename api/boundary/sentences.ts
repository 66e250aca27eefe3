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

/** Why a value is refused; of values that may be one of several what they may be, of alternatives what each of them says. */
export function causeOf(errors: readonly SchemaError[], error: SchemaError): string {
  const { keyword, params, schemaPath, instancePath, message } = error;
  if (keyword === 'enum') return oneOf(params.allowedValues as unknown[]);
  if (keyword === 'const') return oneOf([params.allowedValue]);
  if (keyword !== 'anyOf') return message;
  const alternatives = errors.filter(
    (one) => one.instancePath === instancePath && one.schemaPath.startsWith(`${schemaPath}/anyOf/`),
  );
  const allowed = alternatives.flatMap(({ keyword, params }) =>
    keyword === 'enum' ? (params.allowedValues as unknown[]) : keyword === 'const' ? [params.allowedValue] : [],
  );
  const others = alternatives.filter(({ keyword }) => !['enum', 'const', 'anyOf'].includes(keyword));
  const said = [...(allowed.length > 0 ? [oneOf(allowed)] : []), ...new Set(others.map((one) => one.message))];
  return said.length > 0 ? said.slice(0, mostNamed).join(', or ') : message;
}

/** Of a list that is longer the rest is left to the reference. */
const mostNamed = 30;

function oneOf(values: readonly unknown[]): string {
  const named = values.slice(0, mostNamed).map((value) => (typeof value === 'string' ? `'${value}'` : `${value}`));
  const more = values.length > mostNamed ? ', …' : '';
  return values.length === 1 ? `must be ${named[0]}` : `must be one of ${named.join(', ')}${more}`;
}

export function plainSentence(part: Part, { errors, value }: SchemaFault): string {
  const error = mainFault(errors);
  if (!error) return `the ${part} is invalid`;
  const place = pathOf(error.instancePath).join('.').slice(0, 255);
  const where = place === '' ? `the ${part}` : place;
  if (error.keyword === 'required') return `${where} needs ${namesOf(error)[0]}`;
  if (error.keyword === 'additionalProperties') return `${where} has no ${namesOf(error).join(', ').slice(0, 255)}`;
  if (part === 'body' && value === undefined) return 'the request needs a body';
  return `${where} ${causeOf(errors, error)}`;
}
