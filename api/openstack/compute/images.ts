/**
 * Until 2.35 Nova handed images on to the image service (their metadata until 2.38). Images are that service's; here they have Nova's
 * older form: properties as metadata, upper-case status, minDisk and minRam.
 */

import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { ImageListOptions, ImageRow, ImageService } from '../../../control/image/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { isOfCalendar } from '../common/calendar.ts';
import * as a from './answers.ts';
import { first, linksOf, nextLinks, pageOf, queryOf, rootOf } from './paging.ts';
import { isoSeconds } from './server-view.ts';
import * as v from './validate.ts';

const links = a.list({ rel: a.text, href: a.text, type: a.some(a.text) });
const brief = { id: a.id, name: a.orNull(a.text), links };
const whole = a.record({
  ...{ ...brief, status: a.text, created: a.text, updated: a.text, progress: a.integer },
  ...{ minDisk: a.integer, minRam: a.integer, metadata: a.textsByName },
  'OS-EXT-IMG-SIZE:size': a.orNull(a.integer),
  server: a.some(a.record({ id: a.text, links: a.links })),
});
const query = a.query(...['limit', 'marker', 'name', 'status', 'minRam', 'minDisk', 'changes-since', 'server', 'type']);
const pageOfImages = (image: typeof whole) => ({
  200: a.record({ images: Type.Array(image), images_links: a.some(a.links) }),
});
const proxy = { versions: { to: 35 } } as const;
const contracts = {
  list: { summary: 'List images', rights: 'caller', ...proxy, query, answers: pageOfImages(a.record(brief)) },
  details: { summary: 'List images in full', rights: 'caller', ...proxy, query, answers: pageOfImages(whole) },
  show: { summary: 'Show an image', rights: 'caller', ...proxy, answers: { 200: a.record({ image: whole }) } },
  remove: { summary: 'Delete an image', rights: 'member', ...proxy, answers: { 204: null } },
} as const;

/** As Nova tells Glance's (nova/image/glance.py and the API's view of images). */
const statuses: Readonly<Record<string, string>> = { active: 'ACTIVE', queued: 'SAVING', saving: 'SAVING' };
const progress: Readonly<Record<string, number>> = { queued: 25, saving: 50, active: 100 };

export function imageRoutes(app: Boundary, images: ImageService): void {
  const list = async (request: FastifyRequest, detail: boolean) => {
    const { filter, limit, marker } = readQuery(request);
    const sort = [
      { key: 'created_at', descending: true },
      { key: 'id', descending: true },
    ] as const;
    const rows =
      limit === 0 || filter === undefined
        ? []
        : await images.list(callerOf(request), { filter, sort, limit, ...(marker !== undefined && { marker }) });
    const page = { limit, count: rows.length, last: rows.at(-1)?.id };
    const more = limit > 0 && nextLinks(request, detail ? 'images/detail' : 'images', page);
    const bodies = rows.map((row) => (detail ? imageBody(request, row) : briefBody(request, row)));
    return { images: bodies, ...(more && { images_links: more }) };
  };
  app.get('/images', contracts.list, (request) => list(request, false));
  app.get('/images/detail', contracts.details, (request) => list(request, true));
  app.get('/images/:id', contracts.show, async (request) => ({
    image: imageBody(request, await images.show(callerOf(request), request.params.id)),
  }));
  app.delete('/images/:id', contracts.remove, async (request, reply) => {
    await images.delete(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
}

const older = { versions: { to: 38 } } as const;
const all = { body: v.strict({ metadata: v.metadata }), answers: { 200: a.record({ metadata: a.textsByName }) } };
const item = { 200: a.record({ meta: a.textsByName }) };
const metadataContracts = {
  list: { summary: "List an image's metadata", rights: 'caller', ...older, answers: all.answers },
  add: { summary: "Add to an image's metadata", rights: 'member', ...older, ...all },
  replace: { summary: "Replace an image's metadata", rights: 'member', ...older, ...all },
  show: { summary: "Show an item of an image's metadata", rights: 'caller', ...older, answers: item },
  set: {
    summary: "Set an item of an image's metadata",
    rights: 'member',
    ...older,
    body: v.strict({ meta: v.metadata }),
    answers: item,
  },
  remove: { summary: "Delete an item of an image's metadata", rights: 'member', ...older, answers: { 204: null } },
} as const;

export function imageMetadataRoutes(app: Boundary, images: ImageService): void {
  const base = '/images/:id/metadata' as const;
  const present = async (request: FastifyRequest): Promise<Record<string, string>> =>
    (await images.show(callerOf(request), idOf(request))).owner_properties;
  const itemOf = async (request: FastifyRequest): Promise<[string, string]> => {
    const { key } = request.params as { key: string };
    const metadata = await present(request);
    if (!Object.hasOwn(metadata, key)) throw new Refusal('not_found', 'Metadata item was not found');
    return [key, metadata[key]!];
  };
  const write = async (request: FastifyRequest, set: Record<string, string>, remove: readonly string[]) => {
    const changes = [
      ...remove.map((name) => ({ kind: 'property', verb: 'remove', name }) as const),
      ...Object.entries(set).map(([name, value]) => ({ kind: 'property', verb: 'set', name, value }) as const),
    ];
    return (await images.update(callerOf(request), idOf(request), changes)).owner_properties;
  };
  app.get(base, metadataContracts.list, async (request) => ({ metadata: await present(request) }));
  app.post(base, metadataContracts.add, async (request) => ({
    metadata: await write(request, request.body.metadata, []),
  }));
  app.put(base, metadataContracts.replace, async (request) => {
    const { metadata } = request.body;
    const gone = Object.keys(await present(request)).filter((key) => !Object.hasOwn(metadata, key));
    return { metadata: await write(request, metadata, gone) };
  });
  app.get(`${base}/:key`, metadataContracts.show, async (request) => ({
    meta: Object.fromEntries([await itemOf(request)]),
  }));
  app.put(`${base}/:key`, metadataContracts.set, async (request) => {
    const { meta } = request.body;
    if (!Object.hasOwn(meta, request.params.key)) throw new Refusal('invalid', 'Request body and URI mismatch');
    if (Object.keys(meta).length > 1) throw new Refusal('invalid', 'Request body contains too many items');
    await write(request, meta, []);
    return { meta };
  });
  app.delete(`${base}/:key`, metadataContracts.remove, async (request, reply) => {
    const [key] = await itemOf(request);
    await write(request, {}, [key]);
    return reply.code(204).send();
  });
}

const idOf = (request: FastifyRequest): string => (request.params as { id: string }).id;

/** A filter of undefined: nothing fits it. */
function readQuery(request: FastifyRequest): {
  filter: ImageListOptions['filter'] | undefined;
  limit: number;
  marker: string | undefined;
} {
  const given = queryOf(request);
  const [name, status, type] = ['name', 'status', 'type'].map((key) => first(given, key));
  const wanted = Object.keys(statuses).filter((each) => statuses[each] === status?.toUpperCase());
  // A server is named by its id or by where it is.
  const server = first(given, 'server')?.replace(/^.*\/servers\//, '');
  const [minMemoryMib, minDiskGib] = ['minRam', 'minDisk'].map((key) => wholeNumber(key, first(given, key)));
  const since = timeOf(first(given, 'changes-since'));
  const properties = {
    ...(server !== undefined && { instance_uuid: server }),
    ...(type !== undefined && { image_type: type }),
  };
  const filter: ImageListOptions['filter'] = {
    ...{ memberStatus: 'accepted', hidden: false },
    ...(name !== undefined && { names: [name] }),
    ...(status !== undefined && { statuses: wanted }),
    ...(minMemoryMib !== undefined && { minMemoryMib }),
    ...(minDiskGib !== undefined && { minDiskGib }),
    ...(since && { updatedAt: { is: 'gte', at: since } }),
    ...(Object.keys(properties).length > 0 && { properties }),
  };
  return { filter: status !== undefined && wanted.length === 0 ? undefined : filter, ...pageOf(given) };
}

function wholeNumber(key: string, text: string | undefined): number | undefined {
  if (text !== undefined && !(/^\d{1,10}$/.test(text) && Number(text) <= 0x7fff_ffff)) {
    throw new Refusal('invalid', `Invalid input for query parameters ${key}. Value: ${text.slice(0, 50)}.`);
  }
  return text === undefined ? undefined : Number(text);
}

function timeOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = /^\d{4}-\d\d-\d\d/.test(text) && text.length <= 40 ? new Date(text) : undefined;
  const year = time?.getUTCFullYear() ?? Number.NaN;
  if (!(year >= 1 && year <= 9999) || !isOfCalendar(text)) throw new Refusal('invalid', 'Invalid changes-since value.');
  return time;
}

function briefBody(request: FastifyRequest, { id, name }: ImageRow) {
  const alternate = {
    ...{ rel: 'alternate', type: 'application/vnd.openstack.image' },
    href: `${rootOf(request).replace(/\/compute$/, '')}/image/images/${id}`,
  };
  return { id, name, links: [...linksOf(request, 'images', id), alternate] };
}

function imageBody(request: FastifyRequest, image: ImageRow) {
  const { instance_uuid: server } = image.owner_properties;
  return {
    ...briefBody(request, image),
    status: statuses[image.status] ?? 'UNKNOWN',
    progress: progress[image.status] ?? 0,
    created: isoSeconds(image.created_at),
    updated: isoSeconds(image.updated_at),
    minDisk: image.min_disk_gib,
    minRam: image.min_memory_mib,
    metadata: image.owner_properties,
    'OS-EXT-IMG-SIZE:size': image.size_bytes,
    ...(server !== undefined && { server: { id: server, links: linksOf(request, 'servers', server) } }),
  };
}
