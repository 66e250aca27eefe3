/** OS-EP-FILTER: which endpoints a project's catalogue shows. */
import { Type } from 'typebox';
import { type ProjectId, parseId } from '../../../../contract/ids.ts';
import type { EndpointFilters } from '../../../../control/identity/catalogue-tables.ts';
import type { EndpointGroupChange } from '../../../../control/identity/endpoint-filter.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { anyId, collection, nullable, query, type Routes, type With, wrapped } from '../resource.ts';
import { endpointGroupView, endpointView, projectView } from '../views.ts';

const properties = {
  name: Type.String({ minLength: 1, maxLength: 255 }),
  description: nullable(Type.String({ maxLength: 65_535 })),
  filters: Type.Object(
    {
      service_id: Type.Optional(Type.String({ maxLength: 64 })),
      region_id: Type.Optional(Type.String({ maxLength: 255 })),
      interface: Type.Optional(Type.Union([Type.Literal('public'), Type.Literal('internal'), Type.Literal('admin')])),
    },
    { additionalProperties: false, minProperties: 1, examples: [{ interface: 'public' }] },
  ),
};
const group = a.one('endpoint_group', a.endpointGroup);
const many = a.many('endpoint_groups', a.endpointGroup);
const contracts = {
  list: lists('List endpoint groups', 'admin', many, 'name'),
  create: {
    summary: 'Make an endpoint group',
    rights: 'admin',
    body: wrapped('endpoint_group', properties, ['name', 'filters']),
    answers: { 201: group },
  },
  show: shows('Show an endpoint group', 'admin', group),
  update: {
    summary: 'Change an endpoint group',
    rights: 'admin',
    body: wrapped('endpoint_group', properties),
    answers: { 200: group },
  },
  remove: quiet('Remove an endpoint group', 'admin'),
  endpoints: shows('List the endpoints that a group or project shows', 'admin', a.many('endpoints', a.endpoint)),
  projects: shows('List the projects that an endpoint or group is shown to', 'admin', a.many('projects', a.project)),
  groups: shows('List the endpoint groups of a project', 'admin', many),
  add: quiet('Show an endpoint or group to a project', 'admin'),
  check: quiet('Ask whether an endpoint is shown to a project', 'admin'),
  showGroup: shows(
    'Show that a group is shown to a project',
    'admin',
    a.one('project_endpoint_group', a.record({ endpoint_group_id: a.id, project_id: a.id, links: a.links })),
  ),
  take: quiet('Show an endpoint or group to a project no more', 'admin'),
} as const;

interface Given extends Record<string, unknown> {
  name?: string;
  description?: string | null;
  filters?: EndpointFilters;
}

const changeOf = ({ name, description, filters }: Given): EndpointGroupChange => ({
  ...(name !== undefined && { name }),
  ...(description !== undefined && { description }),
  ...(filters && {
    filters: {
      ...filters,
      ...(filters.service_id && { service_id: parseId(filters.service_id) ?? filters.service_id }),
    },
  }),
});

const root = '/v3/OS-EP-FILTER';
const project = (request: { params: Record<'project', string> }) => anyId<ProjectId>(request.params.project);

export const endpointFilterRoutes: Routes = (app, deps) => {
  groupRoutes(app, deps);
  associationRoutes(app, deps);
};

const groupRoutes: Routes = (app, deps) => {
  const { endpointFilter: filter } = deps.identity;
  const view = endpointGroupView(deps);
  const url = `${root}/endpoint_groups`;
  const idOf = (request: With) => anyId(request.params.id);

  app.read(url, contracts.list, async (request) => {
    const { name } = query(request);
    const rows = await filter.groups(callerOf(request), name === undefined ? {} : { name });
    return collection(deps, request, 'endpoint_groups', rows, view);
  });
  app.post(url, contracts.create, async (request, reply) => {
    const given = changeOf(request.body.endpoint_group) as Parameters<typeof filter.createGroup>[1];
    return reply.code(201).send({ endpoint_group: view(await filter.createGroup(callerOf(request), given)) });
  });
  app.read(`${url}/:id`, contracts.show, async (request) => ({
    endpoint_group: view(await filter.group(callerOf(request), idOf(request))),
  }));
  app.patch(`${url}/:id`, contracts.update, async (request) => ({
    endpoint_group: view(
      await filter.updateGroup(callerOf(request), idOf(request), changeOf(request.body.endpoint_group)),
    ),
  }));
  app.delete(`${url}/:id`, contracts.remove, async (request, reply) => {
    await filter.deleteGroup(callerOf(request), idOf(request));
    return reply.code(204).send();
  });
  app.read(`${url}/:id/endpoints`, contracts.endpoints, async (request) =>
    collection(
      ...([
        deps,
        request,
        'endpoints',
        await filter.endpointsOfGroup(callerOf(request), idOf(request)),
        endpointView(deps),
      ] as const),
    ),
  );
  app.read(`${url}/:id/projects`, contracts.projects, async (request) => {
    const rows = await filter.projectsOf(callerOf(request), { groupId: idOf(request) });
    return collection(deps, request, 'projects', rows, projectView(deps));
  });
};

const associationRoutes: Routes = (app, deps) => {
  const { endpointFilter: filter } = deps.identity;

  app.read(`${root}/endpoints/:id/projects`, contracts.projects, async (request) => {
    const rows = await filter.projectsOf(callerOf(request), { endpointId: anyId(request.params.id) });
    return collection(deps, request, 'projects', rows, projectView(deps));
  });
  app.read(`${root}/projects/:project/endpoints`, contracts.endpoints, async (request) => {
    const rows = await filter.endpointsOfProject(callerOf(request), project(request));
    return collection(deps, request, 'endpoints', rows, endpointView(deps));
  });
  app.read(`${root}/projects/:project/endpoint_groups`, contracts.groups, async (request) => {
    const rows = await filter.groupsOfProject(callerOf(request), project(request));
    return collection(deps, request, 'endpoint_groups', rows, endpointGroupView(deps));
  });

  const single = `${root}/projects/:project/endpoints/:id`;
  const ofEndpoint = (request: { params: Record<'project' | 'id', string> }) => ({
    projectId: project(request),
    endpointId: anyId(request.params.id),
  });
  app.put(single, contracts.add, async (request, reply) => {
    await filter.associate(callerOf(request), ofEndpoint(request));
    return reply.code(204).send();
  });
  app.read(single, contracts.check, async (request, reply) => {
    await filter.check(callerOf(request), ofEndpoint(request));
    return reply.code(204).send();
  });
  app.delete(single, contracts.take, async (request, reply) => {
    await filter.dissociate(callerOf(request), ofEndpoint(request));
    return reply.code(204).send();
  });

  const grouped = `${root}/endpoint_groups/:id/projects/:project`;
  const ofGroup = (request: { params: Record<'project' | 'id', string> }) => ({
    projectId: project(request),
    groupId: anyId(request.params.id),
  });
  app.put(grouped, contracts.add, async (request, reply) => {
    await filter.associate(callerOf(request), ofGroup(request));
    return reply.code(204).send();
  });
  app.read(grouped, contracts.showGroup, async (request) => {
    const { groupId, projectId } = ofGroup(request);
    await filter.check(callerOf(request), { groupId, projectId });
    const self = `${deps.base}${root}/endpoint_groups/${groupId}/projects/${projectId}`;
    return { project_endpoint_group: { endpoint_group_id: groupId, project_id: projectId, links: { self } } };
  });
  app.delete(grouped, contracts.take, async (request, reply) => {
    await filter.dissociate(callerOf(request), ofGroup(request));
    return reply.code(204).send();
  });
};
