import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type ProjectId, parseId, type UserId } from '../../../../contract/ids.ts';
import { Secret } from '../../../../contract/secret.ts';
import type { Extra } from '../../../../control/identity/tables.ts';
import type { UserChange } from '../../../../control/identity/users.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import {
  anyId,
  body,
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
  params,
  pathId,
  query,
  queryBoolean,
  type Routes,
  text,
  wrapped,
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

const idOf = (request: FastifyRequest): UserId => pathId(params(request).id, 'user');

/** Who may not see users hears `forbidden` also for what is no id. */
const idToSee = (request: FastifyRequest): UserId => anyId(params(request).id!);

export const userRoutes: Routes = (app, deps) => {
  const { users, groups, projects } = deps.identity;
  const view = userView(deps);

  app.post('/v3/users', body(wrapped('user', properties, ['name'])), async (request, reply) => {
    const given = (request.body as { user: Given & { name: string } }).user;
    const caller = callerOf(request);
    const domain = await domainOfNew(deps, caller, given.domain_id);
    const row = await users.create(caller, { ...userChangeOf(given), name: given.name, domainId: domain });
    return reply.code(201).send({ user: view(row) });
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/users',
    handler: async (request) => {
      const { name, enabled, domain_id: domain } = query(request);
      const filter = { name, enabled: queryBoolean(enabled), domainId: await filterDomainId(deps, domain) };
      return collection(deps, request, 'users', await users.list(callerOf(request), filter, pageOf(request)), view);
    },
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/users/:id',
    handler: async (request) => ({ user: view(await users.get(callerOf(request), idToSee(request))) }),
  });

  app.patch('/v3/users/:id', body(wrapped('user', properties)), async (request) => {
    const given = (request.body as { user: Given }).user;
    const id = idOf(request);
    const caller = callerOf(request);
    if (given.domain_id !== undefined) {
      mustStay(await domainId(deps, given.domain_id), (await users.get(caller, id)).domain_id, 'domain_id');
    }
    return { user: view(await users.update(caller, id, userChangeOf(given))) };
  });

  app.delete('/v3/users/:id', async (request, reply) => {
    await users.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });

  const change = Type.Object({ user: Type.Object({ password: text, original_password: text }) });
  // Open as in Keystone: the present password is the proof, so that it also works when a token can't be had any more.
  app.post('/v3/users/:id/password', { schema: { body: change }, config: { open: true } }, async (request, reply) => {
    const { password, original_password: present } = (
      request.body as { user: Record<'password' | 'original_password', string> }
    ).user;
    const asker = { requestId: request.id, address: request.ip };
    await users.changePassword(idToSee(request), new Secret(present), new Secret(password), asker);
    return reply.code(204).send();
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/users/:id/groups',
    handler: async (request) => {
      const rows = await groups.ofUser(callerOf(request), idToSee(request), { name: query(request).name });
      return collection(deps, request, 'groups', rows, groupView(deps));
    },
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/users/:id/projects',
    handler: async (request) => {
      const rows = await projects.forUser(callerOf(request), idToSee(request), { name: query(request).name });
      return collection(deps, request, 'projects', rows, projectView(deps));
    },
  });
};
