import type { UserId } from '../../../../contract/ids.ts';
import type { GroupChange } from '../../../../control/identity/groups.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { directory, lists, quiet } from '../contracts.ts';
import {
  anyId,
  changeOf,
  collection,
  domainId,
  domainOfNew,
  filterDomainId,
  mustStay,
  nullable,
  pageOf,
  pageWords,
  query,
  type Routes,
  text,
  type With,
} from '../resource.ts';
import { groupView, userView } from '../views.ts';

const properties = { name: text, description: nullable(text), domain_id: text };
type Given = GroupChange & Record<string, unknown> & { domain_id?: string };

const idOf = (request: With): string => anyId(request.params.id);

const contracts = {
  ...directory({ noun: 'group', properties, answer: a.group, filters: ['name', 'domain_id'], showRights: 'admin' }),
  users: lists('List the users of a group', 'admin', a.many('users', a.user), 'name', ...pageWords),
  add: quiet('Put a user into a group', 'admin'),
  check: quiet('Ask whether a user is in a group', 'caller'),
  take: quiet('Take a user out of a group', 'admin'),
} as const;

export const groupRoutes: Routes = (app, deps) => {
  const { groups, users } = deps.identity;
  const view = groupView(deps);

  app.post('/v3/groups', contracts.create, async (request, reply) => {
    const given = request.body.group as Given & { name: string };
    const caller = callerOf(request);
    const domain = domainOfNew(deps, caller, given.domain_id);
    const row = await groups.create(caller, { ...changeOf(given, properties), name: given.name, domainId: domain });
    return reply.code(201).send({ group: view(row) });
  });

  app.read('/v3/groups', contracts.list, async (request) => {
    const { name, domain_id: domain } = query(request);
    const filter = { name, domainId: filterDomainId(deps, domain) };
    return collection(deps, request, 'groups', await groups.list(callerOf(request), filter, pageOf(request)), view);
  });

  app.read('/v3/groups/:id', contracts.show, async (request) => ({
    group: view(await groups.get(callerOf(request), idOf(request))),
  }));

  app.patch('/v3/groups/:id', contracts.update, async (request) => {
    const given = request.body.group as Given;
    const caller = callerOf(request);
    if (given.domain_id !== undefined) {
      mustStay(domainId(deps, given.domain_id), (await groups.get(caller, idOf(request))).domain_id, 'domain_id');
    }
    return { group: view(await groups.update(caller, idOf(request), changeOf(given, properties))) };
  });

  app.delete('/v3/groups/:id', contracts.remove, async (request, reply) => {
    await groups.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });

  app.read('/v3/groups/:id/users', contracts.users, async (request) => {
    const page = await users.ofGroup(callerOf(request), idOf(request), { name: query(request).name }, pageOf(request));
    return collection(deps, request, 'users', page, userView(deps));
  });

  const member = (request: With<'id' | 'user'>): [string, UserId] => [
    idOf(request),
    anyId<UserId>(request.params.user),
  ];
  app.put('/v3/groups/:id/users/:user', contracts.add, async (request, reply) => {
    await groups.addMember(callerOf(request), ...member(request));
    return reply.code(204).send();
  });
  app.read('/v3/groups/:id/users/:user', contracts.check, async (request, reply) => {
    await groups.checkMember(callerOf(request), ...member(request));
    return reply.code(204).send();
  });
  app.delete('/v3/groups/:id/users/:user', contracts.take, async (request, reply) => {
    await groups.removeMember(callerOf(request), ...member(request));
    return reply.code(204).send();
  });
};
