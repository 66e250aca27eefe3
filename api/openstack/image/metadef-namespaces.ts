/** Namespaces of metadata definitions: listed page by page, made and shown with all that they have. */
import { type Static, Type } from 'typebox';
import type {
  EntryWish,
  ListedNamespace,
  MetadefKind,
  MetadefService,
  NamespaceOrder,
  NamespacePage,
} from '../../../control/image/metadef/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import {
  association,
  base,
  description,
  entryView,
  name,
  namespaceView,
  none,
  object,
  objectView,
  ofType,
  open,
  prefixOf,
  properties,
  propertiesView,
  selfOf,
  tag,
  text,
  wishOf,
} from './metadef-views.ts';

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

const shownNamespace = Type.Object({ namespace: text, visibility: text, protected: Type.Boolean(), owner: text }, open);
const one = { answers: { 200: shownNamespace } } as const;

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

/** By Glance's names. */
const orders: Readonly<Record<string, NamespaceOrder>> = {
  ...{ created_at: 'created_at', updated_at: 'updated_at', namespace: 'name', display_name: 'display_name' },
  ...{ visibility: 'visibility', owner: 'owner' },
};
const listQuery = Type.Object(
  Object.fromEntries(
    ['limit', 'marker', 'visibility', 'resource_types', 'sort_key', 'sort_dir'].map((key) => [
      key,
      Type.Optional(text),
    ]),
  ),
);

/** @throws Refusal `invalid` */
function pageOf(query: Record<string, string>): NamespacePage {
  const { limit = '25', marker, visibility, resource_types: types, sort_key = 'created_at', sort_dir = 'desc' } = query;
  if (!/^\d{1,9}$/.test(limit)) throw new Refusal('invalid', 'limit param must be an integer');
  if (visibility !== undefined && visibility !== 'public' && visibility !== 'private')
    throw new Refusal('invalid', `Invalid visibility value: ${visibility.slice(0, 100)}`);
  if (sort_dir !== 'asc' && sort_dir !== 'desc')
    throw new Refusal('invalid', `Invalid sort direction: ${sort_dir.slice(0, 100)}`);
  const order = Object.hasOwn(orders, sort_key) ? orders[sort_key]! : undefined;
  if (!order) throw new Refusal('invalid', `Invalid sort key: ${sort_key.slice(0, 100)}`);
  return {
    ...{ limit: Math.min(Number(limit), 1000), order, descending: sort_dir === 'desc' },
    ...(marker !== undefined && { after: marker }),
    ...(visibility !== undefined && { visibility }),
    ...(types !== undefined && { resourceTypes: types.split(',') }),
  };
}

const listedView = (row: ListedNamespace) => ({
  ...namespaceView(row),
  ...(row.resource_types.length > 0 && { resource_type_associations: row.resource_types.map(entryView) }),
});

function listRoute(app: Boundary, metadefs: MetadefService): void {
  const answers = { 200: Type.Object({ namespaces: Type.Array(shownNamespace) }, open) };
  const contract = { summary: 'List namespaces of definitions', rights: 'reader', query: listQuery, answers } as const;
  app.get(base, contract, async (request) => {
    const { marker: _page, ...asked } = request.query as Record<string, string>;
    const page = pageOf(request.query as Record<string, string>);
    const found = await metadefs.namespaces(callerOf(request), { ...page, limit: page.limit + 1 });
    const shownPage = found.slice(0, page.limit);
    const last = shownPage.at(-1);
    // A page goes on as the first one was asked for.
    const link = (over: Record<string, string>) => {
      const query = new URLSearchParams({ ...asked, ...over }).toString();
      return query === '' ? base : `${base}?${query}`;
    };
    return {
      namespaces: shownPage.map(listedView),
      ...{ first: link({}), schema: '/v2/schemas/metadefs/namespaces' },
      ...(found.length > page.limit && last && { next: link({ marker: last.name }) }),
    };
  });
}

export function namespaceRoutes(app: Boundary, metadefs: MetadefService): void {
  listRoute(app, metadefs);
  const create = {
    summary: 'Create a namespace',
    rights: 'admin',
    body: wholeNamespace,
    answers: { 201: shownNamespace },
  } as const;
  app.post(base, create, async (request, reply) => {
    const { body } = request;
    const row = await metadefs.createNamespace(callerOf(request), namespaceWish(body), entriesOf(body));
    return reply.code(201).header('location', selfOf(row.name)).send(namespaceView(row));
  });
  const show = { summary: 'Show a namespace', rights: 'reader', query: ofType, ...one } as const;
  app.get(`${base}/:namespace`, show, async (request) => {
    const caller = callerOf(request);
    const row = await metadefs.namespace(caller, request.params.namespace);
    const of = (kind: MetadefKind) => metadefs.entries(caller, row.name, kind);
    const [objects, props, tags, types] = await Promise.all([
      of('object'),
      of('property'),
      of('tag'),
      of('resource_type'),
    ]);
    const type = types.find(({ name: label }) => label === request.query.resource_type);
    const prefix = prefixOf(type);
    return {
      ...namespaceView(row),
      ...(objects.length > 0 && { objects: objects.map((entry) => objectView(row.name, entry, prefix)) }),
      ...(props.length > 0 && { properties: propertiesView(props, prefix) }),
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
