/** Metadata definitions: objects, properties, tags and the types of resources of a namespace. */
import { Type } from 'typebox';
import type { MetadefEntryRow, MetadefService } from '../../../control/image/metadef/index.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { namespaceRoutes } from './metadef-namespaces.ts';
import {
  association,
  base,
  entryView,
  list,
  none,
  object,
  objectView,
  ofType,
  open,
  prefixOf,
  propertiesView,
  property,
  shown,
  tag,
  text,
  wishOf,
} from './metadef-views.ts';

export function metadefRoutes(app: Boundary, metadefs: MetadefService): void {
  namespaceRoutes(app, metadefs);
  for (const kind of kinds) entryRoutes(app, metadefs, kind);
  tagRoutes(app, metadefs);
  resourceTypeRoutes(app, metadefs);
}

interface Kind {
  kind: 'object' | 'property';
  path: 'objects' | 'properties';
  body: typeof object | typeof property;
}
const kinds: readonly Kind[] = [
  { kind: 'object', path: 'objects', body: object },
  { kind: 'property', path: 'properties', body: property },
];

/** Objects and properties: the same verbs, and each its own way to list. */
function entryRoutes(app: Boundary, metadefs: MetadefService, { kind, path, body }: Kind): void {
  const all = `${base}/:namespace/${path}` as const;
  const view = (namespace: string, row: MetadefEntryRow) =>
    kind === 'object' ? objectView(namespace, row) : { ...entryView(row), schema: '/v2/schemas/metadefs/property' };
  const listed = kind === 'object' ? list('objects') : Type.Object({ properties: Type.Record(text, shown) }, open);
  app.get(all, { summary: `List ${path}`, rights: 'reader', answers: { 200: listed } }, async (request) => {
    const { namespace } = request.params;
    const rows = await metadefs.entries(callerOf(request), namespace, kind);
    return {
      [path]: kind === 'object' ? rows.map((row) => view(namespace, row)) : propertiesView(rows),
      schema: `/v2/schemas/metadefs/${path}`,
    };
  });
  app.post(
    all,
    { summary: `Create an entry of ${path}`, rights: 'admin', body, answers: { 201: shown } },
    async (request, reply) => {
      const wish = wishOf(request.body as { name: string });
      const [row] = await metadefs.createEntries(callerOf(request), request.params.namespace, kind, [wish]);
      return reply.code(201).send(view(request.params.namespace, row!));
    },
  );
  app.delete(all, { summary: `Delete all ${path}`, rights: 'admin', answers: none }, async (request, reply) => {
    await metadefs.deleteEntries(callerOf(request), request.params.namespace, kind);
    return reply.code(204).send();
  });
  app.get(
    `${all}/:name`,
    { summary: `Show an entry of ${path}`, rights: 'reader', query: ofType, answers: { 200: shown } },
    async (request) => {
      const { namespace: of, name: asked } = request.params as Record<'namespace' | 'name', string>;
      const { resource_type: type } = request.query;
      const caller = callerOf(request);
      const entry =
        kind === 'property' && type !== undefined ? await plainName(metadefs, caller, of, { asked, type }) : asked;
      return view(of, await metadefs.entry(caller, of, kind, entry));
    },
  );
  app.put(
    `${all}/:name`,
    { summary: `Change an entry of ${path}`, rights: 'admin', body, answers: { 200: shown } },
    async (request) => {
      const { namespace: of, name: entry } = request.params as Record<'namespace' | 'name', string>;
      const wish = wishOf(request.body as { name: string });
      return view(of, await metadefs.updateEntry(callerOf(request), of, kind, entry, wish));
    },
  );
  app.delete(
    `${all}/:name`,
    { summary: `Delete an entry of ${path}`, rights: 'admin', answers: none },
    async (request, reply) => {
      const { namespace: of, name: entry } = request.params as Record<'namespace' | 'name', string>;
      await metadefs.deleteEntries(callerOf(request), of, kind, entry);
      return reply.code(204).send();
    },
  );
}

/** What a property is called that has this name on a type of resource. @throws CloudError, Refusal `not_found` */
async function plainName(
  metadefs: MetadefService,
  caller: Caller,
  namespace: string,
  { asked, type }: { asked: string; type: string },
): Promise<string> {
  const prefix = prefixOf(await metadefs.entry(caller, namespace, 'resource_type', type));
  if (prefix !== '' && asked.startsWith(prefix)) return asked.slice(prefix.length);
  const why = `Property ${asked} does not start with the expected resource type association prefix of '${prefix}'.`;
  throw new Refusal('not_found', why);
}

function tagRoutes(app: Boundary, metadefs: MetadefService): void {
  const all = `${base}/:namespace/tags` as const;
  const tagsBody = Type.Object({ tags: Type.Array(tag) });
  app.get(all, { summary: 'List tags', rights: 'reader', answers: { 200: list('tags') } }, async (request) => {
    const rows = await metadefs.entries(callerOf(request), request.params.namespace, 'tag');
    return { tags: rows.map(({ name: label }) => ({ name: label })), schema: '/v2/schemas/metadefs/tags' };
  });
  const create = { summary: 'Set the tags', rights: 'admin', body: tagsBody, answers: { 201: list('tags') } } as const;
  app.post(all, create, async (request, reply) => {
    const wishes = request.body.tags.map((one) => ({ name: one.name, body: {} }));
    // Glance replaces what is there unless a header says that these are more.
    const replacing = !/^(?:true|t|1|on|yes|y)$/i.test(String(request.headers['x-openstack-append']));
    const rows = await metadefs.createEntries(callerOf(request), request.params.namespace, 'tag', wishes, {
      replacing,
    });
    return reply
      .code(201)
      .send({ tags: rows.map(({ name: label }) => ({ name: label })), schema: '/v2/schemas/metadefs/tags' });
  });
  app.delete(all, { summary: 'Delete all tags', rights: 'admin', answers: none }, async (request, reply) => {
    await metadefs.deleteEntries(callerOf(request), request.params.namespace, 'tag');
    return reply.code(204).send();
  });
  app.get(`${all}/:name`, { summary: 'Show a tag', rights: 'reader', answers: { 200: shown } }, async (request) =>
    entryView(await metadefs.entry(callerOf(request), request.params.namespace, 'tag', request.params.name)),
  );
  app.post(
    `${all}/:name`,
    { summary: 'Create a tag', rights: 'admin', answers: { 201: shown } },
    async (request, reply) => {
      const { namespace: of, name: wanted } = request.params;
      if (wanted.length > 80) throw new Refusal('invalid', 'the name of a tag has at most 80 characters');
      const [row] = await metadefs.createEntries(callerOf(request), of, 'tag', [{ name: wanted, body: {} }]);
      return reply.code(201).send(entryView(row!));
    },
  );
  app.put(
    `${all}/:name`,
    { summary: 'Rename a tag', rights: 'admin', body: tag, answers: { 200: shown } },
    async (request) => {
      const { namespace: of, name: entry } = request.params;
      return entryView(
        await metadefs.updateEntry(callerOf(request), of, 'tag', entry, { name: request.body.name, body: {} }),
      );
    },
  );
  app.delete(`${all}/:name`, { summary: 'Delete a tag', rights: 'admin', answers: none }, async (request, reply) => {
    await metadefs.deleteEntries(callerOf(request), request.params.namespace, 'tag', request.params.name);
    return reply.code(204).send();
  });
}

/** Those that OpenStack's services have. */
const resourceTypes = [
  ...['OS::Glance::Image', 'OS::Cinder::Volume', 'OS::Nova::Flavor', 'OS::Nova::Aggregate', 'OS::Nova::Server'],
  'OS::Trove::Instance',
];

function resourceTypeRoutes(app: Boundary, metadefs: MetadefService): void {
  const known = {
    summary: 'List types of resources',
    rights: 'reader',
    answers: { 200: list('resource_types') },
  } as const;
  const since = '2026-01-01T00:00:00Z';
  app.get('/v2/metadefs/resource_types', known, () => ({
    resource_types: resourceTypes.map((one) => ({ name: one, created_at: since, updated_at: since })),
    schema: '/v2/schemas/metadefs/resource_types',
  }));
  const all = `${base}/:namespace/resource_types` as const;
  const listed = {
    summary: 'List associations',
    rights: 'reader',
    answers: { 200: list('resource_type_associations') },
  } as const;
  app.get(all, listed, async (request) => ({
    resource_type_associations: (
      await metadefs.entries(callerOf(request), request.params.namespace, 'resource_type')
    ).map(entryView),
    schema: '/v2/schemas/metadefs/resource_types',
  }));
  const create = {
    summary: 'Associate a type of resource',
    rights: 'admin',
    body: association,
    answers: { 201: shown },
  } as const;
  app.post(all, create, async (request, reply) => {
    const wish = wishOf(request.body);
    const [row] = await metadefs.createEntries(callerOf(request), request.params.namespace, 'resource_type', [wish]);
    return reply.code(201).send(entryView(row!));
  });
  app.delete(
    `${all}/:name`,
    { summary: 'Dissociate a type of resource', rights: 'admin', answers: none },
    async (request, reply) => {
      await metadefs.deleteEntries(callerOf(request), request.params.namespace, 'resource_type', request.params.name);
      return reply.code(204).send();
    },
  );
}
