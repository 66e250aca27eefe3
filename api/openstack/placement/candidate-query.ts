/** What allocation candidates are asked by, version by version: groups of resources, and what holds for all of them. Pure. */
import { Refusal } from '../../boundary/refusal.ts';
import { type Query, refuse, takeTraits, textsOf, type Wish, wishOf } from './filters.ts';

export interface CandidateQuery {
  wish: Wish;
  /** How many are wanted at most; undefined: all. */
  limit: number | undefined;
  /** Several groups, no two of which may be on one provider. */
  isolate: boolean;
}

/** @throws Refusal `invalid` for what Placement refuses, or knows from a later version on */
export function readCandidateQuery(query: Query, version: number): CandidateQuery {
  requireKnown(query, version);
  const wish = wishOf(query, version);
  takeRoots(wish, textsOf(query.root_required), version);
  requireResources(wish, subtreesOf(wish, textsOf(query.same_subtree)), version);
  const [policy] = textsOf(query.group_policy);
  if (policy !== undefined && policy !== 'none' && policy !== 'isolate')
    throw invalid(`'${policy.slice(0, 100)}' is not one of ['none', 'isolate']`);
  const several = [...wish.suffixes].filter((suffix) => suffix !== '').length > 1;
  if (several && policy === undefined)
    throw refuse('The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.');
  const [limit] = textsOf(query.limit);
  if (limit !== undefined && !/^[1-9]\d{0,9}$/.test(limit))
    throw invalid(`'${limit.slice(0, 100)}' does not match '^[1-9][0-9]*$'`);
  return { wish, limit: limit === undefined ? undefined : Number(limit), isolate: several && policy === 'isolate' };
}

const invalid = (why: string) => new Refusal('invalid', `Invalid query string parameters: ${why}`);

/** The first version that knows each. */
const first: Readonly<Record<string, number>> = {
  ...{ resources: 10, limit: 16, required: 17, member_of: 21, group_policy: 25, in_tree: 31 },
  ...{ root_required: 35, same_subtree: 36 },
};

function requireKnown(query: Query, version: number): void {
  const unknown = Object.keys(query).find((name) => !isKnown(name, version));
  if (unknown !== undefined)
    throw invalid(`Additional properties are not allowed ('${unknown.slice(0, 100)}' was unexpected)`);
}

function isKnown(name: string, version: number): boolean {
  if (Object.hasOwn(first, name)) return version >= first[name]!;
  const [, key, suffix] = /^(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{1,64})$/.exec(name) ?? [];
  if (key === undefined || suffix === undefined || version < first[key]!) return false;
  // Until 1.32 groups have numbers, and before 1.25 there are none.
  return version >= 33 || (version >= 25 && /^[1-9]\d*$/.test(suffix));
}

/** A host is the root of its tree, and all of it: what its root shall be it shall be. */
function takeRoots(wish: Wish, texts: string[], version: number): void {
  const [text] = texts;
  if (text === undefined) return;
  if (texts.length > 1) throw refuse("Query parameter 'root_required' may be specified only once.");
  if (text.startsWith('in:')) throw refuse("'root_required' takes no 'in:'.");
  const roots = { required: [] as string[][], forbidden: [] as string[] };
  takeTraits(roots, text, version);
  const both = roots.required.flat().filter((trait) => roots.forbidden.includes(trait));
  if (both.length > 0)
    throw refuse(`Conflicting required and forbidden traits found in root_required: ${both.join(', ').slice(0, 1000)}`);
  wish.required.push(...roots.required);
  wish.forbidden.push(...roots.forbidden);
}

/** Groups that shall be in one tree, as all are on one host. @returns their names */
function subtreesOf(wish: Wish, texts: string[]): Set<string> {
  const suffixes = texts.flatMap((text) => text.split(',').map((one) => one.trim()));
  if (suffixes.includes('')) throw refuse('Empty string (unsuffixed group) can not be specified in `same_subtree`');
  const unreal = suffixes.filter((suffix) => !wish.suffixes.has(suffix));
  if (unreal.length > 0)
    throw refuse(
      `Real suffixes should be specified in \`same_subtree\`: ${unreal.join(', ').slice(0, 1000)} not found.`,
    );
  return new Set(suffixes);
}

/** A group may go without resources from 1.36 on, where it is in a subtree with others. */
function requireResources(wish: Wish, subtrees: ReadonlySet<string>, version: number): void {
  if (wish.groups.size === 0)
    throw refuse("all groups of an allocation candidates request need a non-empty 'resources' parameter.");
  const without = [...wish.suffixes].filter((suffix) => !wish.groups.has(suffix));
  const orphans = version >= 36 ? without.filter((suffix) => !subtrees.has(suffix)) : without;
  if (orphans.length > 0)
    throw refuse(
      version >= 36
        ? `Resourceless suffixed group request should be specified in \`same_subtree\` query param: bad group(s) - ${orphans.join(', ')}.`
        : `All request groups must specify resources: ${orphans.map((suffix) => `'${suffix}'`).join(', ')} does not.`,
    );
}
