/**
 * What lists and candidates are asked for: resources, traits, aggregates and trees, as Placement writes them in a query. Each host is a tree of
 * one provider, so all groups of a request fall on one. Pure.
 */
import type { Provider, ResourceClass } from '../../../control/compute/resource-provider/index.ts';
import { resourceClasses } from '../../../control/compute/resource-provider/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { standardClasses } from './resource-classes.ts';

export type Query = Readonly<Record<string, string | string[] | undefined>>;

export interface Wish {
  /** By the name of its group, '' is the one without; by resource class. */
  groups: Map<string, Map<string, number>>;
  /** The names of all groups, also of those that ask for no resources. */
  suffixes: Set<string>;
  /** Each list is of traits of which one will do. */
  required: string[][];
  forbidden: string[];
  /** Each list is of aggregates of which one will do. */
  memberOf: string[][];
  notMemberOf: string[];
  inTree: string[];
}

export const textsOf = (value: string | string[] | undefined): string[] => [value ?? []].flat();

/** `suffixed`: the parameter may be of a group, `required1` or `required_DISK`. */
const parameter = /^(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{0,64})$/;
export const refuse = (text: string) => new Refusal('invalid', `Badly formed request: ${text}`);

/** @throws Refusal `invalid` for what is no form of Placement's, or of a later version */
export function wishOf(query: Query, version: number): Wish {
  const wish: Wish = {
    ...{ groups: new Map(), suffixes: new Set(), required: [], forbidden: [] },
    ...{ memberOf: [], notMemberOf: [], inTree: [] },
  };
  for (const [name, value] of Object.entries(query)) {
    const [, key, group] = parameter.exec(name) ?? [];
    if (key === undefined || group === undefined) continue;
    if (key === 'member_of' && version < 24 && textsOf(value).length > 1)
      throw refuse('Multiple member_of parameters are not supported in the specified microversion');
    wish.suffixes.add(group);
    for (const text of textsOf(value)) take(wish, { key, group, text, version });
  }
  return wish;
}

function take(
  wish: Wish,
  { key, group, text, version }: { key: string; group: string; text: string; version: number },
): void {
  if (key === 'resources') wish.groups.set(group, resourcesOf(text));
  else if (key === 'in_tree') wish.inTree.push(text);
  else if (key === 'required') takeTraits(wish, text, version);
  else if (text.startsWith('!') && version < 32)
    throw refuse('Forbidden member_of parameters are not supported in the specified microversion');
  else if (text.startsWith('!')) wish.notMemberOf.push(...oneOf(text.slice(1)));
  else wish.memberOf.push(oneOf(text));
}

const oneOf = (text: string): string[] => (text.startsWith('in:') ? text.slice(3).split(',') : [text]);

export function takeTraits(wish: Pick<Wish, 'required' | 'forbidden'>, text: string, version: number): void {
  if (text.startsWith('in:')) {
    if (version < 39) throw refuse("The format 'in:' of the parameter required is only supported since version 1.39");
    wish.required.push(oneOf(text));
    return;
  }
  for (const trait of text.split(',')) {
    if (trait === '' || trait === '!')
      throw refuse(`Invalid query string parameters: '${text.slice(0, 255)}' names no trait`);
    if (!trait.startsWith('!')) wish.required.push([trait]);
    else if (version < 22) throw refuse('Forbidden traits are not supported in the specified microversion');
    else wish.forbidden.push(trait.slice(1));
  }
}

/** `VCPU:2,DISK_GB:10` */
function resourcesOf(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const part of text.split(',')) {
    const [, name, amount] = /^([A-Z0-9_]{1,255}):([1-9]\d{0,8})$/.exec(part) ?? [];
    if (name === undefined) {
      const form = `"?resources=$RESOURCE_CLASS_NAME:$AMOUNT,$RESOURCE_CLASS_NAME:$AMOUNT"`;
      throw refuse(
        `Invalid resource class in resources parameter. Expected ${form}. Got: "resources=${text.slice(0, 255)}."`,
      );
    }
    if (!standardClasses.includes(name))
      throw refuse(`Invalid resource class in resources parameter: No such resource class ${name}.`);
    found.set(name, (found.get(name) ?? 0) + Number(amount));
  }
  return found;
}

/** @throws Refusal `invalid` for a trait that there is not */
export function requireTraits({ required, forbidden }: Wish, known: readonly string[]): void {
  const unknown = [...required.flat(), ...forbidden].filter((trait) => !known.includes(trait));
  if (unknown.length > 0) throw refuse(`No such trait(s): ${[...new Set(unknown)].join(', ').slice(0, 1000)}.`);
}

/** All that the groups ask for together, by resource class. */
export function totals({ groups }: Pick<Wish, 'groups'>): Map<string, number> {
  const sum = new Map<string, number>();
  for (const [name, amount] of [...groups.values()].flatMap((group) => [...group]))
    sum.set(name, (sum.get(name) ?? 0) + amount);
  return sum;
}

export const isServed = (name: string): name is ResourceClass => (resourceClasses as readonly string[]).includes(name);

/** Has it room for all that is asked for, and is it so? */
export function meets({ id, inventories, traits, aggregateIds }: Provider, wish: Wish): boolean {
  const room = [...totals(wish)].every(([name, amount]) => {
    if (!isServed(name)) return false;
    const { capacity, used } = inventories[name];
    return capacity > 0 && used + amount <= capacity;
  });
  return (
    room &&
    wish.required.every((some) => some.some((trait) => traits.includes(trait))) &&
    !wish.forbidden.some((trait) => traits.includes(trait)) &&
    wish.memberOf.every((some) => some.some((aggregate) => aggregateIds.includes(aggregate))) &&
    !wish.notMemberOf.some((aggregate) => aggregateIds.includes(aggregate)) &&
    wish.inTree.every((root) => root === id)
  );
}
