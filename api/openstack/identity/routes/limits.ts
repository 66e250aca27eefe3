/** Unified limits: registered ones (what everybody has) and those of projects and domains. */
import { Type } from 'typebox';
import type { DomainId, ProjectId } from '../../../../contract/ids.ts';
import type { LimitFilter, LimitName, OwnLimit, RegisteredLimit } from '../../../../control/identity/limits.ts';
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
  nullable,
  query,
  type Routes,
  shownDomainId,
  wrapped,
} from '../resource.ts';

const short = Type.String({ minLength: 1, maxLength: 255 });
const number = Type.Integer({ minimum: -1, maximum: 0x7fffffff });
const description = Type.Optional(nullable(Type.String({ maxLength: 65_535 })));
const name = { service_id: short, region_id: Type.Optional(nullable(short)), resource_name: short };
const closed = { additionalProperties: false };
const newRegistered = Type.Object({ ...name, default_limit: number, description }, closed);
const newLimit = Type.Object(
  {
    ...{ ...name, resource_limit: number, description },
    ...{ project_id: Type.Optional(nullable(short)), domain_id: Type.Optional(nullable(short)) },
  },
  { ...closed, examples: [{ service_id: 'x', resource_name: 'x', resource_limit: 1, project_id: 'x' }] },
);

const registered = a.one('registered_limit', a.registeredLimit);
const limit = a.one('limit', a.limit);
const filters = ['service_id', 'region_id', 'resource_name'];
const contracts = {
  registered: lists('List registered limits', 'caller', a.many('registered_limits', a.registeredLimit), ...filters),
  register: {
    summary: 'Register limits',
    rights: 'admin',
    body: Type.Object({ registered_limits: Type.Array(newRegistered, { minItems: 1, maxItems: 1000 }) }),
    answers: { 201: Type.Object({ registered_limits: Type.Array(a.registeredLimit) }) },
  },
  showRegistered: shows('Show a registered limit', 'caller', registered),
  updateRegistered: {
    summary: 'Change a registered limit',
    rights: 'admin',
    body: wrapped('registered_limit', {
      ...{ service_id: short, region_id: nullable(short), resource_name: short },
      ...{ default_limit: number, description: nullable(Type.String({ maxLength: 65_535 })) },
    }),
    answers: { 200: registered },
  },
  removeRegistered: quiet('Remove a registered limit', 'admin'),
  list: lists('List limits', 'caller', a.many('limits', a.limit), ...filters, 'project_id', 'domain_id'),
  create: {
    summary: 'Set limits of projects and domains',
    rights: 'admin',
    body: Type.Object({ limits: Type.Array(newLimit, { minItems: 1, maxItems: 1000 }) }),
    answers: { 201: Type.Object({ limits: Type.Array(a.limit) }) },
  },
  show: shows('Show a limit', 'caller', limit),
  update: {
    summary: 'Change a limit',
    rights: 'admin',
    body: wrapped('limit', { resource_limit: number, description: nullable(Type.String({ maxLength: 65_535 })) }),
    answers: { 200: limit },
  },
  remove: quiet('Take a limit back', 'admin'),
  model: shows('Show how limits are enforced', 'caller', a.one('model', a.limitModel)),
} as const;

interface Named {
  service_id?: string;
  region_id?: string | null;
  resource_name?: string;
  description?: string | null;
}

const nameOf = ({ service_id: service, region_id: region, resource_name: resource }: Named): Partial<LimitName> => ({
  ...(service !== undefined && { serviceId: anyId(service) }),
  ...(region !== undefined && { region }),
  ...(resource !== undefined && { resource }),
});
const wholeName = (given: Named): LimitName => ({ region: null, ...nameOf(given) }) as LimitName;

const view = (deps: Deps, row: RegisteredLimit | OwnLimit, path: string) => ({
  id: row.id,
  service_id: row.service_id,
  region_id: row.region,
  resource_name: row.resource_name,
  description: row.description,
  links: { self: `${deps.base}/v3/${path}/${row.id}` },
});
const registeredView = (deps: Deps) => (row: RegisteredLimit) => ({
  ...view(deps, row, 'registered_limits'),
  default_limit: row.default_limit,
});
const limitView = (deps: Deps) => (row: OwnLimit) => ({
  ...view(deps, row, 'limits'),
  resource_limit: row.resource_limit,
  project_id: row.project_id,
  domain_id: shownDomainId(deps, row.domain_id),
});

export const limitRoutes: Routes = (app, deps) => {
  registeredRoutes(app, deps);
  ownRoutes(app, deps);
};

const registeredRoutes: Routes = (app, deps) => {
  const { limits } = deps.identity;
  const shown = registeredView(deps);
  const url = '/v3/registered_limits';

  app.read(url, contracts.registered, async (request) =>
    collection(deps, request, 'registered_limits', await limits.registered(nameOf(query(request) as Named)), shown),
  );
  app.post(url, contracts.register, async (request, reply) => {
    const wanted = request.body.registered_limits.map((given) => ({
      ...wholeName(given as Named),
      ...{ limit: given.default_limit, description: given.description ?? null },
    }));
    const rows = await limits.register(callerOf(request), wanted);
    return reply.code(201).send({ registered_limits: rows.map(shown) });
  });
  app.read(`${url}/:id`, contracts.showRegistered, async (request) => ({
    registered_limit: shown(await limits.registeredOne(anyId(request.params.id))),
  }));
  app.patch(`${url}/:id`, contracts.updateRegistered, async (request) => {
    const given = request.body.registered_limit as Named & { default_limit?: number };
    const change = {
      ...nameOf(given),
      ...(given.default_limit !== undefined && { limit: given.default_limit }),
      ...(given.description !== undefined && { description: given.description }),
    };
    return {
      registered_limit: shown(await limits.updateRegistered(callerOf(request), anyId(request.params.id), change)),
    };
  });
  app.delete(`${url}/:id`, contracts.removeRegistered, async (request, reply) => {
    await limits.deleteRegistered(callerOf(request), anyId(request.params.id));
    return reply.code(204).send();
  });
};

const ownRoutes: Routes = (app, deps) => {
  const { limits } = deps.identity;
  const shown = limitView(deps);
  const url = '/v3/limits';

  app.read(url, contracts.list, async (request) => {
    const given = query(request);
    const [projectId, ofDomain] = [filterId<ProjectId>(given.project_id), filterDomainId(deps, given.domain_id)];
    const filter: LimitFilter = {
      ...nameOf(given as Named),
      ...(projectId !== undefined && { projectId }),
      ...(ofDomain !== undefined && { domainId: ofDomain }),
    };
    return collection(deps, request, 'limits', await limits.list(callerOf(request), filter), shown);
  });
  app.post(url, contracts.create, async (request, reply) => {
    const wanted = request.body.limits.map((given) => {
      const { project_id: project, domain_id: domain } = given;
      if (Boolean(project) === Boolean(domain)) {
        throw new Refusal('invalid', 'a limit is of a project or of a domain: exactly one of project_id and domain_id');
      }
      return {
        ...wholeName(given as Named),
        ...{ limit: given.resource_limit, description: given.description ?? null },
        projectId: project ? anyId<ProjectId>(project) : null,
        domainId: domain ? (domainId(deps, domain) as DomainId) : null,
      };
    });
    const rows = await limits.create(callerOf(request), wanted);
    return reply.code(201).send({ limits: rows.map(shown) });
  });
  app.read(`${url}/model`, contracts.model, () => ({
    model: {
      name: 'flat',
      description: 'Limit enforcement and validation does not take project hierarchy into consideration.',
    },
  }));
  app.read(`${url}/:id`, contracts.show, async (request) => ({
    limit: shown(await limits.get(callerOf(request), anyId(request.params.id))),
  }));
  app.patch(`${url}/:id`, contracts.update, async (request) => {
    const given = request.body.limit as { resource_limit?: number; description?: string | null };
    const change = {
      ...(given.resource_limit !== undefined && { limit: given.resource_limit }),
      ...(given.description !== undefined && { description: given.description }),
    };
    return { limit: shown(await limits.update(callerOf(request), anyId(request.params.id), change)) };
  });
  app.delete(`${url}/:id`, contracts.remove, async (request, reply) => {
    await limits.delete(callerOf(request), anyId(request.params.id));
    return reply.code(204).send();
  });
};
