/** Metadata definitions: namespaces of objects, properties, tags and the types of resources that they are for. */
import { type Static, Type } from 'typebox';
import type {
  EntryWish,
  MetadefEntryRow,
  MetadefKind,
  MetadefNamespaceRow,
  MetadefService,
} from '../../../control/image/metadef/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';

const text = Type.String();
const name = Type.String({ minLength: 1, maxLength: 80 });
const description = Type.Optional(Type.String({ maxLength: 500 }));
const open = { additionalProperties: true } as const;

/** A JSON schema of one property, with what people shall read. */
const propertyMembers = { title: Type.String({ maxLength: 255 }), type: text, description };
const properties = Type.Record(text, Type.Object(propertyMembers, open));
const object = Type.Object({
  name,
  description,
  required: Type.Optional(Type.Array(text)),
  properties: Type.Optional(properties),
});
const property = Type.Object({ name, ...propertyMembers }, open);
const tag = Type.Object({ name });
const association = Type.Object({
  name,
  prefix: Type.Optional(Type.String({ maxLength: 80 })),
  properties_target: Type.Optional(Type.String({ maxLength: 80 })),
});

const namespaceMembers = {
  namespace: name,
  display_name: Type.Optional(Type.String({ maxLength: 80 })),
  description,
  visibility: Type.Optional(Type.Union([Type.Literal('public'), Type.Literal('private')])),
  protected: Type.Optional(Type.Boolean()),
  owner: Type.Optional(Type.String({ maxLength: 255 })),
};
const namespace = Type.Object(namespaceMembers, { title: 'Namespace of definitions', examples: [{ namespace: 'x' }] });
const wholeNamespace = Type.Object(
  {
    ...namespaceMembers,
    objects: Type.Optional(Type.Array(object)),
    properties: Type.Optional(properties),
    tags: Type.Optional(Type.Array(tag)),
    resource_type_associations: Type.Optional(Type.Array(association)),
  },
  { title: 'Namespace with all that it has', examples: [{ namespace: 'x' }] },
);

/** Answers are what was given, with links and times. */
const shown = Type.Object({ name: text }, open);
const shownNamespace = Type.Object({ namespace: text, visibility: text, protected: Type.Boolean(), owner: text }, open);
const list = (members: string) => Type.Object({ [members]: Type.Array(shown) }, open);

const seconds = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`;
const times = (row: { created_at: Date; updated_at: Date }) => ({
  created_at: seconds(row.created_at),
  updated_at: seconds(row.updated_at),
});
const base = '/v2/metadefs/namespaces';
const selfOf = (row: MetadefNamespaceRow) => `${base}/${encodeURIComponent(row.name)}`;

const namespaceView = (row: MetadefNamespaceRow) => ({
  namespace: row.name,
  ...(row.display_name === null ? {} : { display_name: row.display_name }),
  ...(row.description === null ? {} : { description: row.description }),
  visibility: row.visibility,
  protected: row.protected,
  owner: row.project_id,
  ...times(row),
  self: selfOf(row),
  schema: '/v2/schemas/metadefs/namespace',
});

const entryView = (row: MetadefEntryRow) => ({ ...row.body, name: row.name, ...times(row) });
const propertiesView = (rows: readonly MetadefEntryRow[]) =>
  Object.fromEntries(rows.map((row) => [row.name, { ...row.body, name: row.name }]));

const wishOf = ({ name: wanted, ...body }: { name: string } & Record<string, unknown>): EntryWish => ({
  name: wanted,
  body,
});

const namespaceWish = (body: Static<typeof namespace>) => ({
  name: body.namespace,
  ...(body.display_name !== undefined && { display_name: body.display_name }),
  ...(body.description !== undefined && { description: body.description }),
  ...(body.visibility !== undefined && { visibility: body.visibility }),
  ...(body.protected !== undefined && { protected: body.protected }),
  ...(body.owner !== undefined && { projectId: body.owner }),
});

function entriesOf(body: Static<typeof wholeNamespace>): { kind: MetadefKind; entry: EntryWish }[] {
  const of = (kind: MetadefKind, items: readonly ({ name: string } & Record<string, unknown>)[] = []) =>
    items.map((item) => ({ kind, entry: wishOf(item) }));
  const named = Object.entries(body.properties ?? {}).map(([key, value]) => ({ ...value, name: key }));
  return [
    ...of('object', body.objects),
    ...of('property', named),
    ...of('tag', body.tags),
    ...of('resource_type', body.resource_type_associations),
  ];
}

export function metadefRoutes(app: Boundary, metadefs: MetadefService): void {
  namespaceRoutes(app, metadefs);
  oneNamespaceRoutes(app, metadefs);
  for (const kind of kinds) entryRoutes(app, metadefs, kind);
  tagRoutes(app, metadefs);
  resourceTypeRoutes(app, metadefs);
}

const one = { answers: { 200: shownNamespace } } as const;
const none = { 204: null } as const;

function namespaceRoutes(app: Boundary, metadefs: MetadefService): void {
  const query = Type.Object(
    Object.fromEntries(
      ['limit', 'marker', 'visibility', 'resource_types', 'sort_key', 'sort_dir'].map((key) => [
        key,
        Type.Optional(text),
      ]),
    ),
  );
  const answers = { 200: Type.Object({ namespaces: Type.Array(shownNamespace) }, open) };
  app.get(base, { summary: 'List namespaces of definitions', rights: 'reader', query, answers }, async (request) => {
    const {
      limit: most = '25',
      marker: after,
      visibility,
      resource_types: types,
    } = request.query as Record<string, string>;
    if (!/^\d{1,9}$/.test(most)) throw new Refusal('invalid', 'limit param must be an integer');
    const limit = Math.min(Number(most), 1000);
    const found = await metadefs.namespaces(callerOf(request), {
      limit: limit + 1,
      ...(after !== undefined && { after }),
      ...(visibility !== undefined && { visibility }),
      ...(types !== undefined && { resourceTypes: types.split(',') }),
    });
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return {
      namespaces: page.map(namespaceView),
      first: base,
      schema: '/v2/schemas/metadefs/namespaces',
      ...(found.length > limit &&
        last && { next: `${base}?${new URLSearchParams({ limit: most, marker: last.name })}` }),
    };
  });
}

function oneNamespaceRoutes(app: Boundary, metadefs: MetadefService): void {
  const create = {
    summary: 'Create a namespace',
    rights: 'admin',
    body: wholeNamespace,
    answers: { 201: shownNamespace },
  } as const;
  app.post(base, create, async (request, reply) => {
    const { body } = request;
    const row = await metadefs.createNamespace(callerOf(request), namespaceWish(body), entriesOf(body));
    return reply.code(201).header('location', selfOf(row)).send(namespaceView(row));
  });
  app.get(`${base}/:namespace`, { summary: 'Show a namespace', rights: 'reader', ...one }, async (request) => {
    const caller = callerOf(request);
    const row = await metadefs.namespace(caller, request.params.namespace);
    const of = (kind: MetadefKind) => metadefs.entries(caller, row.name, kind);
    const [objects, props, tags, types] = await Promise.all([
      of('object'),
      of('property'),
      of('tag'),
      of('resource_type'),
    ]);
    return {
      ...namespaceView(row),
      ...(objects.length > 0 && { objects: objects.map(entryView) }),
      ...(props.length > 0 && { properties: propertiesView(props) }),
      ...(tags.length > 0 && { tags: tags.map(({ name: label }) => ({ name: label })) }),
      ...(types.length > 0 && { resource_type_associations: types.map(entryView) }),
    };
  });
  const update = { summary: 'Change a namespace', rights: 'admin', body: namespace, ...one } as const;
  app.put(`${base}/:namespace`, update, async (request) =>
    namespaceView(
      await metadefs.updateNamespace(callerOf(request), request.params.namespace, namespaceWish(request.body)),
    ),
  );
  app.delete(
    `${base}/:namespace`,
    { summary: 'Delete a namespace', rights: 'admin', answers: none },
    async (request, reply) => {
      await metadefs.deleteNamespace(callerOf(request), request.params.namespace);
      return reply.code(204).send();
    },
  );
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
  const schema = `/v2/schemas/metadefs/${kind}`;
  const view = (row: MetadefEntryRow) => ({ ...entryView(row), schema });
  const listed = kind === 'object' ? list('objects') : Type.Object({ properties: Type.Record(text, shown) }, open);
  app.get(all, { summary: `List ${path}`, rights: 'reader', answers: { 200: listed } }, async (request) => {
    const rows = await metadefs.entries(callerOf(request), request.params.namespace, kind);
    return {
      [path]: kind === 'object' ? rows.map(view) : propertiesView(rows),
      schema: `/v2/schemas/metadefs/${path}`,
    };
  });
  app.post(
    all,
    { summary: `Create an entry of ${path}`, rights: 'admin', body, answers: { 201: shown } },
    async (request, reply) => {
      const wish = wishOf(request.body as { name: string });
      const [row] = await metadefs.createEntries(callerOf(request), request.params.namespace, kind, [wish]);
      return reply.code(201).send(view(row!));
    },
  );
  app.delete(all, { summary: `Delete all ${path}`, rights: 'admin', answers: none }, async (request, reply) => {
    await metadefs.deleteEntries(callerOf(request), request.params.namespace, kind);
    return reply.code(204).send();
  });
  app.get(
    `${all}/:name`,
    { summary: `Show an entry of ${path}`, rights: 'reader', answers: { 200: shown } },
    async (request) => {
      const { namespace: of, name: entry } = request.params as Record<'namespace' | 'name', string>;
      return view(await metadefs.entry(callerOf(request), of, kind, entry));
    },
  );
  app.put(
    `${all}/:name`,
    { summary: `Change an entry of ${path}`, rights: 'admin', body, answers: { 200: shown } },
    async (request) => {
      const { namespace: of, name: entry } = request.params as Record<'namespace' | 'name', string>;
      return view(
        await metadefs.updateEntry(callerOf(request), of, kind, entry, wishOf(request.body as { name: string })),
      );
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
    const replacing = request.headers['x-openstack-append'] !== 'True';
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
