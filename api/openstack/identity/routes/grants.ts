/** Grants (who has which role where) and the list of all assignments. */
import type { FastifyRequest } from 'fastify';
import type { RoleId } from '../../../../contract/ids.ts';
import type { Grant } from '../../../../control/identity/assignments.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import {
  anyId,
  collection,
  type Deps,
  domainId,
  filterDomainId,
  filterId,
  params,
  query,
  queryFlag,
  type Routes,
} from '../resource.ts';
import { assignmentView, roleView } from '../views.ts';

const actors = ['users', 'groups'] as const;
const places = ['projects/:place', 'domains/:place', 'system'] as const;

async function grantOf(
  deps: Deps,
  request: FastifyRequest,
  actor: (typeof actors)[number],
  place: (typeof places)[number],
): Promise<Grant> {
  const { actor: actorId, place: placeId } = params(request);
  return {
    actor: actor === 'users' ? { userId: anyId(actorId!) } : { groupId: anyId(actorId!) },
    target:
      place === 'system'
        ? { system: true }
        : place === 'domains/:place'
          ? { domainId: await domainId(deps, placeId!) }
          : { projectId: anyId(placeId!) },
  };
}

export const grantRoutes: Routes = (app, deps) => {
  for (const place of places) {
    for (const actor of actors) {
      const collectionUrl = `${place}/${actor}/:actor/roles`;
      grantRoute(app, deps, { url: `/v3/${collectionUrl}`, actor, place, inherited: false });
      if (place !== 'system') {
        grantRoute(app, deps, { url: `/v3/OS-INHERIT/${collectionUrl}`, actor, place, inherited: true });
      }
    }
  }
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/role_assignments',
    handler: (request) => listAssignments(deps, request),
  });
};

function grantRoute(
  app: Parameters<Routes>[0],
  deps: Deps,
  route: { url: string; actor: (typeof actors)[number]; place: (typeof places)[number]; inherited: boolean },
): void {
  const { assignments } = deps.identity;
  const { inherited } = route;
  const end = inherited ? '/inherited_to_projects' : '';
  const grant = async (request: FastifyRequest): Promise<[Grant, RoleId]> => [
    { ...(await grantOf(deps, request, route.actor, route.place)), inherited },
    anyId<RoleId>(params(request).role ?? ''),
  ];
  app.route({
    method: ['GET', 'HEAD'],
    url: `${route.url}${end}`,
    handler: async (request) => {
      const [wanted] = await grant(request);
      return collection(deps, request, 'roles', await assignments.rolesOf(callerOf(request), wanted), roleView(deps));
    },
  });
  const url = `${route.url}/:role${end}`;
  app.put(url, async (request, reply) => {
    await assignments.grant(callerOf(request), ...(await grant(request)));
    return reply.code(204).send();
  });
  app.route({
    method: ['GET', 'HEAD'],
    url,
    handler: async (request, reply) => {
      await assignments.check(callerOf(request), ...(await grant(request)));
      return reply.code(204).send();
    },
  });
  app.delete(url, async (request, reply) => {
    await assignments.revoke(callerOf(request), ...(await grant(request)));
    return reply.code(204).send();
  });
}

async function listAssignments(deps: Deps, request: FastifyRequest) {
  const given = query(request);
  const inheritance = given['scope.OS-INHERIT:inherited_to'];
  if (inheritance !== undefined && inheritance !== 'projects') {
    throw new Refusal('invalid', 'scope.OS-INHERIT:inherited_to can only be projects');
  }
  const rows = await deps.identity.assignments.list(callerOf(request), {
    roleId: filterId(given['role.id']),
    userId: filterId(given['user.id']),
    groupId: filterId(given['group.id']),
    projectId: filterId(given['scope.project.id']),
    domainId: await filterDomainId(deps, given['scope.domain.id']),
    ...(given['scope.system'] === undefined ? {} : { system: true }),
    ...(inheritance === undefined ? {} : { inherited: true }),
    effective: queryFlag(given.effective),
    includeSubtree: queryFlag(given.include_subtree),
  });
  return collection(deps, request, 'role_assignments', rows, assignmentView(deps, queryFlag(given.include_names)));
}
