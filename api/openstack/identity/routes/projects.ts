/** Projects, their tags and relatives. Keystone also shows domains as projects (is_domain); so do we, on the same rows. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { isCloudError } from '../../../../contract/errors.ts';
import type { DomainId, ProjectId } from '../../../../contract/ids.ts';
import type { ProjectChange } from '../../../../control/identity/projects.ts';
import type { ProjectRow } from '../../../../control/identity/tables.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { directory, quiet, shows } from '../contracts.ts';
import {
  asks,
  changeOf,
  collection,
  type Deps,
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
  queryFlag,
  type Routes,
  shownDomainId,
  tags,
  text,
  type With,
} from '../resource.ts';
import { domainAsProjectView, projectView } from '../views.ts';

const properties = {
  name: text,
  description: nullable(text),
  domain_id: nullable(text),
  parent_id: nullable(text),
  is_domain: flag,
  enabled: flag,
  tags,
  options,
};
/** A project's, or that of a domain as the project that it also is. */
const idOf = (deps: Deps, request: With): ProjectId =>
  request.params.id === 'default'
    ? (deps.identity.defaultDomainId as string as ProjectId)
    : pathId(request.params.id, 'project');
type Given = ProjectChange & Record<string, unknown> & { domain_id?: string | null; parent_id?: string | null };

/** Runs the project's way, or the domain's where the id is a domain's. */
async function orDomain<T>(asProject: () => Promise<T>, asDomain: () => Promise<T>): Promise<T> {
  try {
    return await asProject();
  } catch (error) {
    if (!isCloudError(error, 'not_found')) throw error;
    return asDomain().catch((other) => {
      throw isCloudError(other, 'not_found') ? error : other;
    });
  }
}

const tagFilters = ['tags', 'tags-any', 'not-tags', 'not-tags-any'];
const relations = ['parents_as_list', 'parents_as_ids', 'subtree_as_list', 'subtree_as_ids'];
const filters = ['name', 'enabled', 'is_domain', 'domain_id', 'parent_id', ...tagFilters];
const generic = directory({ noun: 'project', properties, answer: a.project, filters, showRights: 'caller' });
const contracts = {
  ...generic,
  show: { ...generic.show, query: asks(...relations) },
  tags: shows('List the tags of a project', 'caller', a.tags),
  setTags: {
    summary: 'Replace the tags of a project',
    rights: 'admin',
    body: Type.Object({ tags: Type.Array(Type.String()) }),
    answers: { 200: a.tags },
    explain: {
      body: () => {
        throw new Refusal('invalid', 'Expecting to find tags in the request.');
      },
    },
  },
  clearTags: quiet('Remove all tags of a project', 'admin'),
  checkTag: quiet('Ask whether a project has a tag', 'caller'),
  addTag: { summary: 'Put a tag on a project', rights: 'admin', answers: { 201: null } },
  removeTag: quiet('Take a tag from a project', 'admin'),
} as const;

export const projectRoutes: Routes = (app, deps) => {
  const { projects, domains } = deps.identity;
  const view = projectView(deps);
  const domainView = domainAsProjectView(deps);

  app.post('/v3/projects', contracts.create, async (request, reply) => {
    const given = request.body.project as Given & { name: string };
    const caller = callerOf(request);
    const change = { ...changeOf(given, properties), name: given.name };
    if (given.is_domain === true) {
      return reply.code(201).send({ project: domainView(await domains.create(caller, change)) });
    }
    const domain = domainOfNew(deps, caller, given.domain_id);
    const parent = given.parent_id ? domainId(deps, given.parent_id) : null;
    const row = await projects.create(caller, {
      ...change,
      domainId: domain,
      parentId: parent === domain ? null : (parent as ProjectId | null),
    });
    return reply.code(201).send({ project: view(row) });
  });

  app.read('/v3/projects', contracts.list, async (request) => {
    const given = query(request);
    const caller = callerOf(request);
    const { name } = given;
    const enabled = queryBoolean(given.enabled);
    if (queryFlag(given.is_domain)) {
      return collection(
        deps,
        request,
        'projects',
        await domains.list(caller, { name, enabled }, pageOf(request)),
        domainView,
      );
    }
    const words = (value: string | undefined) => value?.split(',');
    const filter = {
      name,
      enabled,
      domainId: filterDomainId(deps, given.domain_id),
      parentId: filterDomainId(deps, given.parent_id),
      tags: words(given.tags),
      tagsAny: words(given['tags-any']),
      notTags: words(given['not-tags']),
      notTagsAny: words(given['not-tags-any']),
    };
    return collection(deps, request, 'projects', await projects.list(caller, filter, pageOf(request)), view);
  });

  app.read('/v3/projects/:id', contracts.show, async (request) => {
    const id = idOf(deps, request);
    const caller = callerOf(request);
    return orDomain<unknown>(
      async () => ({ project: { ...view(await projects.get(caller, id)), ...(await relatives(deps, request, id)) } }),
      async () => ({ project: domainView(await domains.get(caller, id as string as DomainId)) }),
    );
  });

  app.patch('/v3/projects/:id', contracts.update, async (request) => {
    const given = request.body.project as Given;
    const id = idOf(deps, request);
    const caller = callerOf(request);
    return orDomain<unknown>(
      async () => {
        await checkFixed(deps, request, given, id);
        return { project: view(await projects.update(caller, id, changeOf(given, properties))) };
      },
      async () => ({
        project: domainView(await domains.update(caller, id as string as DomainId, changeOf(given, properties))),
      }),
    );
  });

  app.delete('/v3/projects/:id', contracts.remove, async (request, reply) => {
    const id = idOf(deps, request);
    const caller = callerOf(request);
    await orDomain(
      () => projects.delete(caller, id),
      () => domains.delete(caller, id as string as DomainId),
    );
    return reply.code(204).send();
  });

  tagRoutes(app, deps);
};

async function checkFixed(deps: Deps, request: FastifyRequest, given: Given, id: ProjectId): Promise<void> {
  if (given.domain_id === undefined && given.parent_id === undefined && given.is_domain === undefined) return;
  const row = await deps.identity.projects.get(callerOf(request), id);
  if (given.domain_id !== undefined) {
    mustStay(given.domain_id && domainId(deps, given.domain_id), row.domain_id, 'domain_id');
  }
  if (given.parent_id !== undefined) {
    const parent = given.parent_id && domainId(deps, given.parent_id);
    if (parent !== (row.parent_id ?? row.domain_id)) {
      throw new Refusal('forbidden', 'Update of `parent_id` is not allowed.');
    }
  }
  if (given.is_domain === true) throw new Refusal('invalid', 'is_domain can not be changed');
}

/** What a query asks of a project's tree, as lists of documents or as nested ids. */
async function relatives(deps: Deps, request: FastifyRequest, id: ProjectId) {
  const given = query(request);
  const asked = ['parents_as_list', 'parents_as_ids', 'subtree_as_list', 'subtree_as_ids'].filter((name) =>
    Object.hasOwn(given, name),
  );
  if (asked.length === 0) return {};
  const { above, below } = await deps.identity.projects.relatives(id);
  const view = projectView(deps);
  const documents = (rows: ProjectRow[]) => rows.map((row) => ({ project: view(row) }));
  const nested = (parent: ProjectId): Record<string, unknown> | null => {
    const children = below.filter((row) => row.parent_id === parent);
    return children.length === 0 ? null : Object.fromEntries(children.map((row) => [row.id, nested(row.id)]));
  };
  const row = await deps.identity.projects.get(callerOf(request), id);
  const line = [...above.map((one) => one.id as string), shownDomainId(deps, row.domain_id)];
  return {
    ...('parents_as_list' in given ? { parents: documents(above) } : {}),
    ...('parents_as_ids' in given
      ? { parents: line.reduceRight<Record<string, unknown> | null>((inner, one) => ({ [one]: inner }), null) }
      : {}),
    ...('subtree_as_list' in given ? { subtree: documents(below) } : {}),
    ...('subtree_as_ids' in given ? { subtree: nested(id) } : {}),
  };
}

const tagRoutes: Routes = (app, deps) => {
  const { projects } = deps.identity;
  const url = '/v3/projects/:id/tags';
  const links = (request: With) => ({ links: { self: `${deps.base}/v3/projects/${idOf(deps, request)}/tags` } });
  const tagsOf = async (request: With) => (await projects.get(callerOf(request), idOf(deps, request))).tags;
  const store = async (request: With, change: (before: string[]) => string[]) => {
    const { tags: before } = await projects.get(callerOf(request), idOf(deps, request));
    return (await projects.update(callerOf(request), idOf(deps, request), { tags: change(before) })).tags;
  };
  const absent = (tag: string) => new Refusal('not_found', `Could not find project tag: ${tag}.`);

  app.read(url, contracts.tags, async (request) => ({ tags: await tagsOf(request), ...links(request) }));
  app.put(url, contracts.setTags, async (request) => {
    const given = request.body.tags;
    return { tags: await store(request, () => given), ...links(request) };
  });
  app.delete(url, contracts.clearTags, async (request, reply) => {
    await store(request, () => []);
    return reply.code(204).send();
  });
  app.read(`${url}/:tag`, contracts.checkTag, async (request, reply) => {
    const tag = request.params.tag;
    if (!(await tagsOf(request)).includes(tag)) throw absent(tag);
    return reply.code(204).send();
  });
  app.put(`${url}/:tag`, contracts.addTag, async (request, reply) => {
    const tag = request.params.tag;
    await store(request, (before) => [...before.filter((one) => one !== tag), tag]);
    return reply
      .code(201)
      .header('location', `${deps.base}/v3/projects/${idOf(deps, request)}/tags/${encodeURIComponent(tag)}`)
      .send();
  });
  app.delete(`${url}/:tag`, contracts.removeTag, async (request, reply) => {
    const tag = request.params.tag;
    await store(request, (before) => {
      if (!before.includes(tag)) throw absent(tag);
      return before.filter((one) => one !== tag);
    });
    return reply.code(204).send();
  });
};
