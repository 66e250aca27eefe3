/**
 * What a server asks its host to be: traits, and keys of the aggregates' metadata (Nova's AggregateInstanceExtraSpecsFilter, whose
 * conditions are nova/scheduler/filters/extra_specs_ops.py). Pure.
 */
/** What of a host answers it. */
export interface HostNature {
  traits?: readonly string[];
  /** The metadata of its aggregates. */
  aggregates?: readonly Readonly<Record<string, string>>[];
}

export interface HostWish {
  required?: string[];
  forbidden?: string[];
  /** By key of the metadata a condition. */
  aggregate?: Record<string, string>;
}

/** One of those that make up a wish. */
export type HostWord = { trait: string; word: 'required' | 'forbidden' } | { aggregate: string; value: string };

export function hostWishOf(words: readonly HostWord[]): HostWish {
  const traits = (wanted: string) => [
    ...new Set(words.flatMap((one) => ('trait' in one && one.word === wanted ? one.trait : []))),
  ];
  const [required, forbidden] = [traits('required'), traits('forbidden')];
  const aggregate = words.flatMap((one) => ('aggregate' in one ? [[one.aggregate, one.value] as const] : []));
  return {
    ...(required.length > 0 && { required }),
    ...(forbidden.length > 0 && { forbidden }),
    ...(aggregate.length > 0 && { aggregate: Object.fromEntries(aggregate) }),
  };
}

/** What of the wish the host is not: traits that it lacks, traits that it should not have, keys that no aggregate of its has so. */
export function unmet(
  { traits = [], aggregates = [] }: HostNature,
  { required = [], forbidden = [], aggregate = {} }: HostWish,
): { missing: string[]; forbidden: string[]; elsewhere: string[] } {
  const met = ([key, condition]: [string, string]) =>
    aggregates.some((metadata) => Object.hasOwn(metadata, key) && holds(metadata[key]!, condition));
  return {
    missing: required.filter((trait) => !traits.includes(trait)),
    forbidden: forbidden.filter((trait) => traits.includes(trait)),
    elsewhere: Object.entries(aggregate)
      .filter((one) => !met(one))
      .map(([key]) => key),
  };
}

type Compare = (value: string, wanted: string) => boolean;

/** Beginning with the longest, since one begins as another does. */
const comparisons: readonly [string, Compare][] = [
  ['<all-in>', (value, wanted) => wanted.split('<all-in>').every((word) => value.includes(word.trim()))],
  ['<in>', (value, wanted) => value.includes(wanted)],
  ['s==', (value, wanted) => value === wanted],
  ['s!=', (value, wanted) => value !== wanted],
  ['s>=', (value, wanted) => value >= wanted],
  ['s<=', (value, wanted) => value <= wanted],
  ['s>', (value, wanted) => value > wanted],
  ['s<', (value, wanted) => value < wanted],
  ['==', (value, wanted) => Number(value) === Number(wanted)],
  ['!=', (value, wanted) => Number(value) !== Number(wanted)],
  ['>=', (value, wanted) => Number(value) >= Number(wanted)],
  ['<=', (value, wanted) => Number(value) <= Number(wanted)],
  ['=', (value, wanted) => Number(value) >= Number(wanted)],
];

/** False for an operator without what it is to be compared with, or a number that is none. */
export function knownCondition(text: string): boolean {
  const found = comparisons.find(([operator]) => text.trim().startsWith(operator));
  if (!found) return text.trim() !== '';
  const wanted = text.trim().slice(found[0].length).trim();
  return wanted !== '' && (/^[<s]/.test(found[0]) || Number.isFinite(Number(wanted)));
}

/** Values of metadata may be several, between commas: one of them will do. */
function holds(values: string, condition: string): boolean {
  const text = condition.trim();
  const wanted = text.startsWith('<or>')
    ? text
        .split('<or>')
        .map((word) => word.trim())
        .filter((word) => word !== '')
    : [text];
  return values.split(',').some((value) => wanted.some((one) => compared(value.trim(), one)));
}

function compared(value: string, condition: string): boolean {
  const found = comparisons.find(([operator]) => condition.startsWith(operator));
  if (!found) return value === condition;
  return found[1](value, condition.slice(found[0].length).trim());
}
