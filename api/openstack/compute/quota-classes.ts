/**
 * /os-quota-class-sets. Nova never gave a project another class than `default`, whose limits are those of every project that was given
 * none of its own, those of the network service among them (until 2.49). Other classes can be looked at, as Nova lets them, and not be set: a limit that nobody has would be a lie.
 */
import { Type } from 'typebox';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { QuotaService } from '../../../control/kit/quota/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { limit, resources } from './quotas.ts';
import * as v from './validate.ts';

const groups = ['server_groups', 'server_group_members'];

/** Not the versions of quota sets: groups come, and what is the network's goes, with 2.50. */
const namesIn = (version: number): string[] =>
  Object.entries(resources).flatMap(([name, { until }]) => {
    const shown = groups.includes(name) ? version >= 50 : until === 35 ? version < 50 : version <= until;
    return shown ? [name] : [];
  });

const wanted = (version: number) =>
  v.strict({
    quota_class_set: v.strict(Object.fromEntries(namesIn(version).map((name) => [name, Type.Optional(limit)]))),
  });
const answered = (id: object) =>
  v.since([1, 50, 57], (version) =>
    a.record({
      quota_class_set: a.record({ ...id, ...Object.fromEntries(namesIn(version).map((n) => [n, a.integer])) }),
    }),
  );
const contracts = {
  show: { summary: 'Show the quotas of a class', rights: 'admin', answers: { 200: answered({ id: a.text }) } },
  set: {
    summary: 'Set the quotas of every project that has none of its own',
    rights: 'admin',
    body: v.since([1, 50, 57], wanted),
    answers: { 200: answered({}) },
  },
} as const;

export function quotaClassRoutes(app: Boundary, quotas: QuotaService): void {
  const body = (version: number, limits: Record<string, number>) =>
    Object.fromEntries(
      namesIn(version).map((name) => [name, limits[resources[name]!.ours] ?? resources[name]!.otherwise]),
    );
  app.get('/os-quota-class-sets/:class', contracts.show, async (request) => {
    requireAdmin(callerOf(request), 'show a quota class');
    return { quota_class_set: { id: request.params.class, ...body(request.microversion, await quotas.defaults()) } };
  });
  app.put('/os-quota-class-sets/:class', contracts.set, async (request) => {
    const caller = callerOf(request);
    requireAdmin(caller, 'set a quota class');
    if (request.params.class !== 'default') {
      throw new Refusal('invalid', 'There is one quota class, default: no project could have another.');
    }
    const given = Object.entries(request.body.quota_class_set as Record<string, number | string>);
    const limits = Object.fromEntries(given.map(([name, value]) => [resources[name]!.ours, Number(value)]));
    return { quota_class_set: body(request.microversion, await quotas.setDefaults(caller, limits)) };
  });
}
