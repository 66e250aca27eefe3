/** What extra specs and image properties ask of a host, by the beginnings of their names (nova/scheduler/utils.py, the aggregates' filter). */
import { knownCondition } from '../placement/host-wish.ts';
import { type Reader, Unserved, words } from './values.ts';

const trait = /^trait:([A-Z0-9_]{1,255})$/;
const aggregate = /^aggregate_instance_extra_specs:(.+)$/s;

/** Undefined: the name asks nothing of hosts. Numbered groups of traits go with resources, which are the flavor's own numbers here. */
export function hostReader(of: 'image' | 'flavor', name: string): Reader | undefined {
  const wanted = trait.exec(name)?.[1];
  // An image may ask for what it needs; what it must not have is the operator's to say, as in Nova.
  if (wanted !== undefined) {
    const served = of === 'flavor' ? (['required', 'forbidden'] as const) : (['required'] as const);
    return words(served, (word) => ({ host: [{ trait: wanted, word }] }));
  }
  const key = of === 'flavor' ? aggregate.exec(name)?.[1] : undefined;
  if (key === undefined) return undefined;
  return (value) => {
    if (!knownCondition(value)) throw new Unserved('value', 'no condition');
    return { host: [{ aggregate: key, value }] };
  };
}
