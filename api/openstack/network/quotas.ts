import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import { refusal } from '../../../control/kit/refusal.ts';
import type { Limits, NetworkQuota, NetworkQuotaService } from '../../../control/network/quota.ts';
import { networkQuotas } from '../../../control/network/quota.ts';
import { callerOf } from '../common/authenticate.ts';
import { type Attributes, type Reader, readPut, Unreadable } from './attributes.ts';
import { quotaNames } from './fault.ts';

const limit: Reader = (value) => {
  const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < -1 || number > 2 ** 31 - 1) {
    throw new Unreadable(`'${String(value).slice(0, 80)}' is not a limit: -1 (none) to 2147483647.`);
  }
  return number;
};

const attributes: Attributes = {
  ...Object.fromEntries(networkQuotas.map((name) => [quotaNames[name]!, { to: name, put: true, read: limit }])),
  // The client sends these along.
  project_id: { put: true, read: () => undefined },
  tenant_id: { put: true, read: () => undefined },
};

const shown = <T>(values: Record<NetworkQuota, T>): Record<string, T> =>
  Object.fromEntries(networkQuotas.map((name) => [quotaNames[name]!, values[name]]));

function projectOf(request: FastifyRequest): string {
  const { project } = request.params as { project: string };
  const id = parseId(project);
  if (id === undefined)
    throw refusal(
      'not_found',
      'project_quota_not_found',
      `Quota for project ${project.slice(0, 80)} could not be found.`,
    );
  return id;
}

export function addQuotas(app: FastifyInstance, service: NetworkQuotaService): void {
  const named = (project: string, limits: Limits) => ({ ...shown(limits), tenant_id: project, project_id: project });
  app.get('/v2.0/quotas', async (request) => ({
    quotas: (await service.list(callerOf(request))).map(({ projectId, limits }) => named(projectId, limits)),
  }));
  app.get('/v2.0/quotas/tenant', async (request) => whose(request));
  app.get('/v2.0/quotas/project', async (request) => whose(request));
  app.get('/v2.0/quotas/:project', async (request) => {
    return { quota: shown(await service.limits(callerOf(request), projectOf(request))) };
  });
  app.get('/v2.0/quotas/:project/default', async () => ({ quota: shown(await service.defaults()) }));
  for (const name of ['details', 'details.json']) {
    app.get(`/v2.0/quotas/:project/${name}`, async (request) => {
      const usage = await service.usage(callerOf(request), projectOf(request));
      const details = Object.entries(usage).map(([key, use]) => [key, { ...use, reserved: 0 }]);
      return { quota: shown(Object.fromEntries(details)) };
    });
  }
  app.put('/v2.0/quotas/:project', async (request) => {
    const limits = readPut('quota', attributes, request.body) as Partial<Limits>;
    return { quota: shown(await service.set(callerOf(request), projectOf(request), limits)) };
  });
  app.delete('/v2.0/quotas/:project', async (request, reply) => {
    await service.reset(callerOf(request), projectOf(request));
    return reply.code(204).send();
  });
}

/** Whose quota a request without a project would be about. */
function whose(request: FastifyRequest) {
  const { projectId } = callerOf(request);
  return { tenant: { tenant_id: projectId, project_id: projectId } };
}
