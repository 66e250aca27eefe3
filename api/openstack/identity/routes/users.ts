import { Type } from 'typebox';
import { type ProjectId, parseId, type UserId } from '../../../../contract/ids.ts';
import { Secret } from '../../../../contract/secret.ts';
import type { Extra } from '../../../../control/identity/tables.ts';
import type { UserChange, UserFilter } from '../../../../control/identity/users.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { directory, lists } from '../contracts.ts';
import {
  anyId,
  changeOf,
  collection,
  domainId,
  domainOfNew,
  filterDomainId,
  flag,
  mustStay,
  nullable,
  options,
  pageOf,
  pathId,
  query,
  queryBoolean,
  type Routes,
  text,
  type With,
} from '../resource.ts';
import { groupView, projectView, userView } from '../views.ts';

const properties = {
  name: text,
  description: nullable(text),
  email: nullable(text),
  password: nullable(text),
  domain_id: text,
  default_project_id: nullable(text),
  enabled: flag,
  options,
};

interface Given extends Record<string, unknown> {
  name?: string;
  description?: string | null;
  email?: string | null;
  password?: string | null;
  domain_id?: string;
  default_project_id?: string | null;
  enabled?: boolean;
  options?: Extra;
}

function userChangeOf(given: Given): UserChange {
  const { email, password, default_project_id: project } = given;
  return {
    ...changeOf(given, properties),
    email,
    ...(password === undefined ? {} : { password: password === null ? null : new Secret(password) }),
    ...(project === undefined ? {} : { defaultProjectId: projectOf(project) }),
  };
}

/** Keystone does not ask whether the project exists; it must at least be an id. */
function projectOf(given: string | null): ProjectId | null {
  if (given === null || given === '') return null;
  const id = parseId<ProjectId>(given);
  if (!id) throw new Refusal('invalid', `default_project_id ${given} is no id of a project`);
  return id;
}

/** `lt:2016-12-08T22:02:00Z` @throws Refusal `invalid` */
function comparisonOf(text: string): NonNullable<UserFilter['passwordEnds']> {
  const [, is, time] = /^(lt|lte|gt|gte|eq|neq):(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)Z?$/.exec(text) ?? [];
  const at = new Date(`${time}Z`);
  if (is === undefined || Number.isNaN(at.getTime()))
    throw new Refusal(
      'invalid',
      'password_expires_at is asked for as lt:2016-12-08T22:02:00Z (lt, lte, gt, gte, eq, neq).',
    );
  return { is: is as NonNullable<UserFilter['passwordEnds']>['is'], at };
}

const idOf = (request: With): UserId => pathId(request.params.id, 'user');

/** Who may not see users hears `forbidden` also for what is no id. */
const idToSee = (request: With): UserId => anyId(request.params.id);

const plainFilters = ['name', 'enabled', 'domain_id'];

const contracts = {
  ...directory({
    ...{
      noun: 'user',
      properties,
      answer: a.user,
      filters: [...plainFilters, 'password_expires_at', 'idp_id', 'protocol_id', 'unique_id'],
      showRights: 'caller',
    },
  }),
  password: {
    summary: 'Change a password by the present one',
    rights: 'open',
    body: Type.Object({ user: Type.Object({ password: text, original_password: text }) }),
    answers: { 204: null },
  },
  groups: lists('List the groups of a user', 'caller', a.many('groups', a.group), 'name'),
  projects: lists('List the projects of a user', 'caller', a.many('projects', a.project), 'name'),
} as const;

export const userRoutes: Routes = (app, deps) => {
  const { users, groups, projects } = deps.identity;
  const view = userView(deps);

  app.post('/v3/users', contracts.create, async (request, reply) => {
    const given = request.body.user as Given & { name: string };
    const caller = callerOf(request);
    const domain = domainOfNew(deps, caller, given.domain_id);
    const row = await users.create(caller, { ...userChangeOf(given), name: given.name, domainId: domain });
    return reply.code(201).send({ user: view(row) });
  });

  app.read('/v3/users', contracts.list, async (request) => {
    const { name, enabled, domain_id: domain, password_expires_at: ends, ...more } = query(request);
    const federated = { provider: more.idp_id, protocol: more.protocol_id, uniqueId: more.unique_id };
    const filter = {
      ...{ name, enabled: queryBoolean(enabled), domainId: filterDomainId(deps, domain) },
      ...(ends !== undefined && { passwordEnds: comparisonOf(ends) }),
      ...(Object.values(federated).some((one) => one !== undefined) && { federated }),
    };
    return collection(deps, request, 'users', await users.list(callerOf(request), filter, pageOf(request)), view);
  });

  app.read('/v3/users/:id', contracts.show, async (request) => ({
    user: view(await users.get(callerOf(request), idToSee(request))),
  }));

  app.patch('/v3/users/:id', contracts.update, async (request) => {
    const given = request.body.user as Given;
    const id = idOf(request);
    const caller = callerOf(request);
    if (given.domain_id !== undefined) {
      mustStay(domainId(deps, given.domain_id), (await users.get(caller, id)).domain_id, 'domain_id');
    }
    return { user: view(await users.update(caller, id, userChangeOf(given))) };
  });

  app.delete('/v3/users/:id', contracts.remove, async (request, reply) => {
    await users.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });

  // Open as in Keystone: the present password is the proof, so that it also works when a token can't be had any more.
  app.post('/v3/users/:id/password', contracts.password, async (request, reply) => {
    const { password, original_password: present } = request.body.user;
    const asker = { requestId: request.id, address: request.ip };
    await users.changePassword(idToSee(request), new Secret(present), new Secret(password), asker);
    return reply.code(204).send();
  });

  app.read('/v3/users/:id/groups', contracts.groups, async (request) => {
    const rows = await groups.ofUser(callerOf(request), idToSee(request), { name: query(request).name });
    return collection(deps, request, 'groups', rows, groupView(deps));
  });

  app.read('/v3/users/:id/projects', contracts.projects, async (request) => {
    const rows = await projects.forUser(callerOf(request), idToSee(request), { name: query(request).name });
    return collection(deps, request, 'projects', rows, projectView(deps));
  });
};
