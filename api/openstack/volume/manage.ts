/**
 * What is on hosts and no volume of the cloud: nothing that could become one, since a volume is a chain of layers whose place and order
 * only the database knows. So lists are empty, and nothing is taken over.
 */
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import * as a from './answers.ts';
import * as v from './validate.ts';
import { unmanageable } from './volume-actions.ts';

const kinds = [
  { noun: 'volume', old: 'os-volume-manage', path: 'manageable_volumes', member: 'manageable-volumes' },
  { noun: 'snapshot', old: 'os-snapshot-manage', path: 'manageable_snapshots', member: 'manageable-snapshots' },
] as const;

export function manageRoutes(app: Boundary): void {
  for (const { noun, old, path, member } of kinds) {
    const list = {
      summary: `List what on hosts could become a ${noun}`,
      rights: 'admin',
      answers: { 200: a.record({ [member]: a.none }) },
    } as const;
    const take = {
      summary: `Take over what is on a host as a ${noun}`,
      rights: 'admin',
      body: v.strict({ [noun]: Type.Record(Type.String(), Type.Unknown()) }),
      answers: { 202: null },
    } as const;
    const refuse = () => {
      throw new Refusal('invalid', unmanageable);
    };
    // The newer path came with 3.8, the older one stayed.
    for (const [root, versions] of [
      [old, {}],
      [path, { from: 8 }],
    ] as const) {
      app.get(`/${root}`, { ...list, versions }, () => ({ [member]: [] }));
      app.get(`/${root}/detail`, { ...list, versions }, () => ({ [member]: [] }));
      app.post(`/${root}`, { ...take, versions }, refuse);
    }
  }
}
