/** OS-TRUST: one user acts for another. */
import { Type } from 'typebox';
import type { ProjectId, UserId } from '../../../../contract/ids.ts';
import type { NewTrust } from '../../../../control/identity/trusts.ts';
import { notFound } from '../../../../control/kit/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { anyId, collection, filterId, flag, nullable, query, type Routes, type With, wrapped } from '../resource.ts';
import { roleView, trustRolesLinks, trustView } from '../views.ts';

const short = Type.String({ minLength: 1, maxLength: 255 });
const properties = {
  trustor_user_id: short,
  trustee_user_id: short,
  impersonation: flag,
  project_id: nullable(short),
  expires_at: nullable(Type.String({ maxLength: 64 })),
  remaining_uses: nullable(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })),
  allow_redelegation: nullable(flag),
  redelegation_count: nullable(Type.Integer({ minimum: 0, maximum: 1000 })),
  roles: Type.Array(
    Type.Union([
      Type.Object({ id: short }, { additionalProperties: false }),
      Type.Object({ name: short }, { additionalProperties: false }),
    ]),
    { maxItems: 1000 },
  ),
};
const trust = a.one('trust', a.trust);
const contracts = {
  list: lists('List trusts', 'caller', a.many('trusts', a.trust), 'trustor_user_id', 'trustee_user_id'),
  create: {
    summary: 'Trust somebody',
    rights: 'caller',
    body: wrapped('trust', properties, ['trustor_user_id', 'trustee_user_id', 'impersonation']),
    answers: { 201: trust },
  },
  show: shows('Show a trust', 'caller', trust),
  remove: quiet('End a trust', 'caller'),
  roles: shows('List the roles of a trust', 'caller', a.rolesOfTrust),
  role: shows('Show a role of a trust', 'caller', a.one('role', a.role)),
  hasRole: { summary: 'Ask whether a trust has a role', rights: 'caller', answers: { 200: null } },
} as const;

interface Given {
  trustor_user_id: string;
  trustee_user_id: string;
  impersonation: boolean;
  project_id?: string | null;
  expires_at?: string | null;
  remaining_uses?: number | null;
  allow_redelegation?: boolean | null;
  redelegation_count?: number | null;
  roles?: ({ id: string } | { name: string })[];
}

const wantedOf = (given: Given): NewTrust => ({
  trustorId: anyId<UserId>(given.trustor_user_id),
  trusteeId: anyId<UserId>(given.trustee_user_id),
  projectId: given.project_id ? anyId<ProjectId>(given.project_id) : null,
  impersonation: given.impersonation,
  roles: (given.roles ?? []).map((role) => ('id' in role ? { id: anyId(role.id) } : { name: role.name })),
  expiresAt: given.expires_at ?? null,
  remainingUses: given.remaining_uses ?? null,
  allowRedelegation: given.allow_redelegation ?? false,
  redelegationCount: given.redelegation_count ?? null,
});

export const trustRoutes: Routes = (app, deps) => {
  const { trusts } = deps.identity;
  const whole = trustView(deps, { withRoles: true });
  const url = '/v3/OS-TRUST/trusts';
  const find = (request: With) => trusts.get(callerOf(request), anyId(request.params.id));

  app.read(url, contracts.list, async (request) => {
    const { trustor_user_id: trustor, trustee_user_id: trustee } = query(request);
    const [trustorId, trusteeId] = [filterId<UserId>(trustor), filterId<UserId>(trustee)];
    const filter = { ...(trustorId && { trustorId }), ...(trusteeId && { trusteeId }) };
    const rows = await trusts.list(callerOf(request), filter);
    return collection(deps, request, 'trusts', rows, trustView(deps, { withRoles: false }));
  });
  app.post(url, contracts.create, async (request, reply) => {
    const given = wantedOf(request.body.trust as unknown as Given);
    return reply.code(201).send({ trust: whole(await trusts.create(callerOf(request), given)) });
  });
  app.read(`${url}/:id`, contracts.show, async (request) => ({ trust: whole(await find(request)) }));
  app.delete(`${url}/:id`, contracts.remove, async (request, reply) => {
    await trusts.delete(callerOf(request), anyId(request.params.id));
    return reply.code(204).send();
  });

  app.read(`${url}/:id/roles`, contracts.roles, async (request) => {
    const found = await find(request);
    return { roles: found.roles.map(roleView(deps)), links: trustRolesLinks(deps, found) };
  });
  const roleOf = async (request: With<'id' | 'role'>) => {
    const wanted = anyId(request.params.role);
    const role = (await find(request)).roles.find((one) => one.id === wanted);
    if (!role) throw notFound('role', request.params.role);
    return role;
  };
  app.get(`${url}/:id/roles/:role`, contracts.role, async (request) => ({
    role: roleView(deps)(await roleOf(request)),
  }));
  app.route(['HEAD'], `${url}/:id/roles/:role`, contracts.hasRole, async (request, reply) => {
    await roleOf(request);
    return reply.code(200).send();
  });
};
