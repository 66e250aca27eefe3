import type { FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { Limits, NetworkQuota, NetworkQuotaService } from '../../../control/network/quota.ts';
import { networkQuotas } from '../../../control/network/quota.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { type Attributes, boolean, type Reader, reader, readPut, Unreadable } from './attributes.ts';
import { putBody } from './contracts.ts';
import { neutronRefusal } from './fault.ts';
import { quotaNames } from './sentences.ts';

const limit: Reader = reader(
  Type.Union([Type.Integer({ minimum: -1, maximum: 2 ** 31 - 1 }), Type.String({ pattern: '^-?\\d{1,10}$' })]),
  (value) => {
    const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < -1 || number > 2 ** 31 - 1) {
      throw new Unreadable(`'${String(value).slice(0, 80)}' is not a limit: -1 (none) to 2147483647.`);
    }
    return number;
  },
);

/** The client sends these along. */
const overlooked: Reader = reader(Type.Union([Type.String(), Type.Null()]), () => undefined);

const attributes: Attributes = {
  ...Object.fromEntries(networkQuotas.map((name) => [quotaNames[name]!, { to: name, put: true, read: limit }])),
  project_id: { put: true, read: overlooked },
  tenant_id: { put: true, read: overlooked },
  check_limit: { put: true, read: boolean },
  // What is the rule here, as in Neutron: a limit is set whatever is used.
  force: { put: true, read: reader(boolean.schema, (value) => void boolean(value)) },
};

const shown = <T>(values: Record<NetworkQuota, T>): Record<string, T> =>
  Object.fromEntries(networkQuotas.map((name) => [quotaNames[name]!, values[name]]));

const names = networkQuotas.map((name) => quotaNames[name]!);
const limitsOf = (schema: TSchema) => Object.fromEntries(names.map((name) => [name, schema]));
const oneAnswer = a.record({ quota: a.record(limitsOf(a.integer)) });
const whoseAnswer = a.record({
  tenant: a.record({ tenant_id: a.orNull(a.id), project_id: a.orNull(a.id) }),
});
const contracts = {
  list: {
    summary: 'List the quotas of projects that have their own',
    rights: 'admin',
    answers: {
      200: a.record({ quotas: a.list({ ...limitsOf(a.integer), tenant_id: a.id, project_id: a.id }) }),
    },
  },
  whose: { summary: 'Whose quota it is', rights: 'caller', answers: { 200: whoseAnswer } },
  show: { summary: 'Show the quota of a project', rights: 'reader', answers: { 200: oneAnswer } },
  defaults: { summary: 'Show the default quota', rights: 'caller', answers: { 200: oneAnswer } },
  details: {
    summary: 'Show quota and usage of a project',
    rights: 'reader',
    answers: {
      200: a.record({
        quota: a.record(limitsOf(a.record({ limit: a.integer, used: a.integer, reserved: a.integer }))),
      }),
    },
  },
  set: {
    summary: 'Change the quota of a project',
    rights: 'admin',
    body: putBody({ single: 'quota', attributes }),
    answers: { 200: oneAnswer },
    explain: { body: (body: unknown) => readPut('quota', attributes, body) },
  },
  reset: { summary: 'Give a project the default quota', rights: 'admin', answers: { 204: null } },
} as const;

type Change = Partial<Limits> & { check_limit?: boolean };

function projectOf(request: FastifyRequest): string {
  const { project } = request.params as { project: string };
  const id = parseId(project);
  if (id === undefined)
    throw neutronRefusal(
      'not_found',
      'ProjectQuotaNotFound',
      `Quota for project ${project.slice(0, 80)} could not be found.`,
    );
  return id;
}

export function addQuotas(app: Boundary, service: NetworkQuotaService): void {
  const named = (project: string, limits: Limits) => ({ ...shown(limits), tenant_id: project, project_id: project });
  app.get('/v2.0/quotas', contracts.list, async (request) => ({
    quotas: (await service.list(callerOf(request))).map(({ projectId, limits }) => named(projectId, limits)),
  }));
  app.get('/v2.0/quotas/tenant', contracts.whose, async (request) => whose(request));
  app.get('/v2.0/quotas/project', contracts.whose, async (request) => whose(request));
  app.get('/v2.0/quotas/:project', contracts.show, async (request) => {
    return { quota: shown(await service.limits(callerOf(request), projectOf(request))) };
  });
  app.get('/v2.0/quotas/:project/default', contracts.defaults, async () => ({
    quota: shown(await service.defaults()),
  }));
  for (const name of ['details', 'details.json']) {
    app.get(`/v2.0/quotas/:project/${name}`, contracts.details, async (request) => {
      const usage = await service.usage(callerOf(request), projectOf(request));
      const details = Object.entries(usage).map(([key, use]) => [key, { ...use, reserved: 0 }]);
      return { quota: shown(Object.fromEntries(details)) };
    });
  }
  app.put('/v2.0/quotas/:project', contracts.set, async (request) => {
    const { check_limit: aboveUsage = false, ...limits } = readPut('quota', attributes, request.body) as Change;
    return { quota: shown(await service.set(callerOf(request), projectOf(request), limits, { aboveUsage })) };
  });
  app.delete('/v2.0/quotas/:project', contracts.reset, async (request, reply) => {
    await service.reset(callerOf(request), projectOf(request));
    return reply.code(204).send();
  });
}

/** Whose quota a request without a project would be about. */
function whose(request: FastifyRequest) {
  const { projectId } = callerOf(request);
  return { tenant: { tenant_id: projectId, project_id: projectId } };
}
