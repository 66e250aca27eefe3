/** Imports, their tasks, and what clients ask before they import. */
import { type Static, Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import {
  allowedUrl,
  type ImageImportService,
  type ImageService,
  type ImportSource,
  importMethods,
  type TaskPage,
  type WebRulesNow,
} from '../../../control/image/index.ts';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { storeId, taskView } from './view.ts';

const text = Type.Optional(Type.String({ maxLength: 4000 }));

const importBody = Type.Object(
  {
    method: Type.Object({
      name: Type.String(),
      uri: text,
      glance_image_id: text,
      glance_region: text,
      glance_service_interface: text,
    }),
    stores: Type.Optional(Type.Array(Type.String({ maxLength: 255 }), { maxItems: 16 })),
    all_stores: Type.Optional(Type.Boolean()),
    all_stores_must_succeed: Type.Optional(Type.Boolean()),
  },
  { title: 'Import', examples: [{ method: { name: 'glance-direct' } }] },
);

/** Of what was sent, what an import knows: its task keeps it and shows it for days. */
function askedOf({ method, ...rest }: Static<typeof importBody>): Record<string, unknown> {
  const known = (schema: object, value: object) =>
    Object.fromEntries(Object.entries(value).filter(([name]) => Object.hasOwn(schema, name)));
  const { method: ways, ...more } = importBody.properties;
  return { method: known(ways.properties, method), ...known(more, rest) };
}

const invalid = (message: string) => new Refusal('invalid', message);

const start = {
  summary: 'Import an image',
  rights: 'member',
  body: importBody,
  answers: { 202: null },
} as const;
const tasksOfImage = { summary: 'Tasks of an image', rights: 'reader', answers: { 200: a.imageTasks } } as const;
const listTasks = {
  summary: 'List tasks',
  rights: 'admin',
  query: Type.Object({
    limit: Type.Optional(Type.String({ pattern: '^\\d{1,9}$' })),
    marker: Type.Optional(Type.String()),
    status: Type.Optional(Type.String()),
    type: Type.Optional(Type.String()),
    sort_key: Type.Optional(Type.String()),
    sort_dir: Type.Optional(Type.String()),
  }),
  answers: { 200: a.tasks },
} as const;
const showTask = { summary: 'Show a task', rights: 'admin', answers: { 200: a.task } } as const;
const importInfo = { summary: 'Ways to import', rights: 'caller', answers: { 200: a.importInfo } } as const;
const stores = { summary: 'Places of bytes', rights: 'caller', answers: { 200: a.stores } } as const;
const storeDetails = {
  summary: 'Places of bytes in detail',
  rights: 'admin',
  answers: { 200: a.storeDetails },
} as const;
const usage = { summary: 'Quota and its use', rights: 'reader', answers: { 200: a.usages } } as const;

export interface ImportRoutesOptions {
  images: ImageService;
  imports: ImageImportService;
  webRules: WebRulesNow;
}

export function importRoutes(app: Boundary, { images, imports, webRules }: ImportRoutesOptions): void {
  app.post('/v2/images/:id/import', start, async (request, reply) => {
    const source = sourceOf(request.body);
    if (source.method === 'web-download') {
      const target = allowedUrl(source.uri, await webRules());
      if (typeof target === 'string') throw invalid(`URI for web-download does not pass filtering: ${target}`);
    }
    await imports.request(callerOf(request), request.params.id, { source, request: askedOf(request.body) });
    return reply.code(202).send();
  });

  app.get('/v2/images/:id/tasks', tasksOfImage, async (request) => ({
    tasks: (await imports.tasksOf(callerOf(request), request.params.id)).map(taskView),
  }));

  app.get('/v2/tasks', listTasks, async (request) => {
    const page = taskPageOf(request.query);
    const { limit } = page;
    // Images are imported in one way; Glance's older tasks (`import`) are made by nobody.
    const none = limit === 0 || request.query.type === 'import';
    const found = await imports.tasks(callerOf(request), { ...page, limit: none ? 0 : limit + 1 });
    const shown = found.slice(0, limit);
    const search = (more: Record<string, string>) => new URLSearchParams({ ...request.query, ...more });
    return {
      tasks: shown.map(taskView),
      first: '/v2/tasks',
      schema: '/v2/schemas/tasks',
      ...(found.length > limit && { next: `/v2/tasks?${search({ marker: shown.at(-1)!.id })}` }),
    };
  });

  app.get('/v2/tasks/:task', showTask, async (request) =>
    taskView(await imports.task(callerOf(request), request.params.task)),
  );

  infoRoutes(app, images);
}

const taskOrders = ['created_at', 'updated_at', 'status', 'id'] as const;

/** @throws Refusal `invalid` */
function taskPageOf(query: Static<typeof listTasks.query>): TaskPage {
  const { limit = '25', marker, status, type = 'api_image_import', sort_key = 'created_at', sort_dir = 'desc' } = query;
  if (status !== undefined && !['pending', 'processing', 'success', 'failure'].includes(status))
    throw invalid(`Invalid status value: ${status.slice(0, 100)}`);
  if (!['import', 'api_image_import'].includes(type)) throw invalid(`Invalid type value: ${type.slice(0, 100)}`);
  if (sort_dir !== 'asc' && sort_dir !== 'desc') throw invalid(`Invalid sort direction: ${sort_dir.slice(0, 100)}`);
  const order = taskOrders.find((key) => key === sort_key);
  if (!order) throw invalid(`Invalid sort key: ${sort_key.slice(0, 100)}`);
  return {
    ...{ limit: Math.min(Number(limit), 1000), order, descending: sort_dir === 'desc' },
    ...(marker !== undefined && { marker }),
    ...(status !== undefined && { status }),
  };
}

function infoRoutes(app: Boundary, images: ImageService): void {
  app.get('/v2/info/import', importInfo, () => ({
    'import-methods': { description: 'Import methods available.', type: 'array', value: [...importMethods] },
  }));
  app.get('/v2/info/stores', stores, () => ({ stores: [{ id: storeId, default: 'true' }] }));
  app.get('/v2/info/stores/detail', storeDetails, (request) => {
    requireAdmin(callerOf(request), 'showing stores in detail');
    const description = "The hosts' own disks";
    return { stores: [{ id: storeId, type: 'file', description, default: 'true', properties: {} }] };
  });
  app.get('/v2/info/usage', usage, async (request) => {
    const { used, limits } = await images.usage(callerOf(request));
    const one = (resource: string, unit = 1) => {
      const limit = limits[resource] ?? -1;
      return { limit: limit < 0 ? -1 : Math.floor(limit / unit), usage: Math.ceil((used[resource] ?? 0) / unit) };
    };
    const mebibyte = 2 ** 20;
    return {
      usage: {
        image_size_total: one('image_bytes', mebibyte),
        image_stage_total: one('image_staged_bytes', mebibyte),
        image_count_total: one('images'),
        image_count_uploading: one('image_uploads'),
      },
    };
  });
}

/** @throws Refusal in Glance's words */
function sourceOf({ method, stores = [], all_stores }: Static<typeof importBody>): ImportSource {
  const name = importMethods.find((known) => known === method.name);
  if (!name) throw invalid(`Unknown import method name '${method.name.slice(0, 100)}'.`);
  if (stores.length > 0 && all_stores) throw invalid("all_stores parameter can't be used with stores parameter");
  const unknown = stores.find((store) => store !== storeId);
  if (unknown !== undefined) throw new Refusal('conflict', `Store '${unknown.slice(0, 100)}' is not known.`);
  if (name === 'glance-direct' || name === 'copy-image') return { method: name };
  if (name === 'web-download') {
    if (!method.uri) throw invalid("'uri' is required for the method 'web-download'");
    return { method: name, uri: method.uri };
  }
  const { glance_image_id: imageId = '', glance_region: region, glance_service_interface: faced = 'public' } = method;
  if (region === undefined) throw invalid("'glance_region' is required for the method 'glance-download'");
  if (!parseId(imageId)) throw invalid('image id does not look like a UUID');
  return { method: name, imageId, region, interface: faced };
}
