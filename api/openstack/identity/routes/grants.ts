/** Grants (who has which role where) and the list of all assignments. */
import type { FastifyRequest } from 'fastify';
import type { RoleId } from '../../../../contract/ids.ts';
import type { Grant } from '../../../../control/identity/assignments.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import {
  anyId,
  collection,
  type Deps,
  domainId,
  filterDomainId,
  filterId,
  query,
  queryFlag,
  type Routes,
} from '../resource.ts';
import { assignmentView, roleView } from '../views.ts';

const actors = ['users', 'groups'] as const;
const places = ['projects/:place', 'domains/:place', 'system'] as const;

/** Which of the parameters there are depends on the route. */
type GrantRequest = FastifyRequest & { params: Partial<Record<'actor' | 'place' | 'role', string>> };

async function grantOf(
  deps: Deps,
  request: GrantRequest,
  actor: (typeof actors)[number],
  place: (typeof places)[number],
): Promise<Grant> {
  const { actor: actorId, place: placeId } = request.params;
  return {
    actor: actor === 'users' ? { userId: anyId(actorId!) } : { groupId: anyId(actorId!) },
    target:
      place === 'system'
        ? { system: true }
        : place === 'domains/:place'
          ? { domainId: domainId(deps, placeId!) }
          : { projectId: anyId(placeId!) },
  };
}

const filters = ['role.id', 'user.id', 'group.id', 'scope.project.id', 'scope.domain.id', 'scope.system'];
const flags = ['scope.OS-INHERIT:inherited_to', 'effective', 'include_subtree', 'include_names'];
const contracts = {
  list: shows('List the roles that somebody is granted', 'admin', a.many('roles', a.role)),
  grant: quiet('Grant a role', 'admin'),
  check: quiet('Ask whether a role is granted', 'admin'),
  revoke: quiet('Revoke a role', 'admin'),
  assignments: lists('List role assignments', 'admin', a.many('role_assignments', a.assignment), ...filters, ...flags),
} as const;

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
  app.read('/v3/role_assignments', contracts.assignments, (request) => listAssignments(deps, request));
};

function grantRoute(
  app: Parameters<Routes>[0],
  deps: Deps,
  route: { url: string; actor: (typeof actors)[number]; place: (typeof places)[number]; inherited: boolean },
): void {
  const { assignments } = deps.identity;
  const { inherited } = route;
  const end = inherited ? '/inherited_to_projects' : '';
  const grant = async (request: GrantRequest): Promise<[Grant, RoleId]> => [
    { ...(await grantOf(deps, request, route.actor, route.place)), inherited },
    anyId<RoleId>(request.params.role ?? ''),
  ];
  app.read(`${route.url}${end}`, contracts.list, async (request) => {
    const [wanted] = await grant(request);
    return collection(deps, request, 'roles', await assignments.rolesOf(callerOf(request), wanted), roleView(deps));
  });
  const url = `${route.url}/:role${end}`;
  app.put(url, contracts.grant, async (request, reply) => {
    await assignments.grant(callerOf(request), ...(await grant(request)));
    return reply.code(204).send();
  });
  app.read(url, contracts.check, async (request, reply) => {
    await assignments.check(callerOf(request), ...(await grant(request)));
    return reply.code(204).send();
  });
  app.delete(url, contracts.revoke, async (request, reply) => {
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
    domainId: filterDomainId(deps, given['scope.domain.id']),
    ...(given['scope.system'] === undefined ? {} : { system: true }),
    ...(inheritance === undefined ? {} : { inherited: true }),
    effective: queryFlag(given.effective),
    includeSubtree: queryFlag(given.include_subtree),
  });
  return collection(deps, request, 'role_assignments', rows, assignmentView(deps, queryFlag(given.include_names)));
}
