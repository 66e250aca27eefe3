/** Containers: what is said of them, and what is in them. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  type ContainerChange,
  type ContainerInfo,
  type ContainerService,
  mayAccess,
  type ObjectInfo,
  type ObjectService,
} from '../../../control/object/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { withoutSecrets } from './account.ts';
import { cleanAcl } from './acl.ts';
import { answer } from './answer.ts';
import { archiveOf, archiveSetting, deletedType } from './archive.ts';
import { corsHeaders } from './cors.ts';
import { storagePolicy } from './info.ts';
import { listQuery, listWish } from './list-query.ts';
import { containerListing, type ListedObject, listForm, listTypes, type Subdirectory } from './listing-form.ts';
import { inHeader, metadataChange, metadataHeaders } from './metadata.ts';
import { queryOf, truthy, whereOf } from './request.ts';
import { sendWebContainer, showsWeb } from './static-web.ts';
import { httpDate, timestampOf } from './times.ts';

export interface ContainerServices {
  containers: ContainerService;
  objects: ObjectService;
}

const show = { summary: 'Show a container', rights: 'reader', answers: { 204: null } } as const;
const list = {
  summary: "List a container's objects",
  rights: 'reader',
  query: listQuery,
  answers: { 200: listTypes.plain, 204: null, 301: null, 404: 'text/html' },
} as const;
const remove = { summary: 'Delete an empty container', rights: 'member', answers: { 204: null } } as const;

export function containerRoutes(app: Boundary, services: ContainerServices): void {
  const { containers } = services;
  const path = '/v1/:account/:container';

  app.route(['HEAD'], path, show, async (request, reply) => {
    const info = await containers.show(request.visit, whereOf(request));
    const headers = { ...headersOfContainer(request, info), 'content-type': 'text/plain; charset=utf-8' };
    return answer(reply, { status: 204, headers });
  });

  app.get(path, list, async (request, reply) => {
    const web = await showsWeb(request, containers);
    if (web) return sendWebContainer(request, reply, { ...services, web });
    return sendListing(request, reply, services);
  });

  app.delete(path, remove, async (request, reply) => {
    await containers.delete(request.visit, whereOf(request));
    return answer(reply, { status: 204 });
  });
}

export async function makeContainer(
  request: FastifyRequest,
  reply: FastifyReply,
  containers: ContainerService,
): Promise<FastifyReply> {
  const { created } = await containers.create(request.visit, whereOf(request), changeOf(request));
  return answer(reply, { status: created ? 201 : 202 });
}

export async function changeContainer(request: FastifyRequest, containers: ContainerService): Promise<void> {
  await containers.update(request.visit, whereOf(request), changeOf(request));
}

function changeOf(request: FastifyRequest): ContainerChange {
  const headers = headersOf(request);
  const policy = headers['x-storage-policy'];
  if (policy !== undefined && policy.toLowerCase() !== storagePolicy) {
    throw new Refusal('invalid', `Invalid X-Storage-Policy '${policy}'`);
  }
  const { set, remove } = metadataChange(headers, 'container');
  const { 'quota-bytes': quotaBytes, 'quota-count': quotaCount, ...metadata } = set;
  const [settings, enabled] = [archiveSetting(headers), headers['x-versions-enabled']];
  if (settings?.archive && enabled !== undefined && truthy(enabled)) {
    throw new Refusal('invalid', 'A container has either X-Versions-Enabled or X-Versions-Location');
  }
  return {
    metadata: { ...metadata, ...Object.fromEntries(remove.map((name) => [name, null])) },
    ...aclOf(headers),
    ...quota('quotaBytes', quotaBytes, remove.includes('quota-bytes')),
    ...quota('quotaObjects', quotaCount, remove.includes('quota-count')),
    ...(enabled !== undefined && enabled !== '' && { versioning: truthy(enabled) ? 'enabled' : 'suspended' }),
    ...(settings && { settings }),
  };
}

const quota = (name: 'quotaBytes' | 'quotaObjects', given: string | undefined, ends: boolean): ContainerChange =>
  given !== undefined ? { [name]: Number(given) } : ends ? { [name]: null } : {};

function aclOf(headers: Readonly<Record<string, string>>): ContainerChange {
  const one = (name: 'X-Container-Read' | 'X-Container-Write') => {
    const short = name.toLowerCase();
    if (headers[short] !== undefined) return cleanAcl(name, headers[short]);
    return headers[short.replace('x-', 'x-remove-')] === undefined ? undefined : '';
  };
  const [readAcl, writeAcl] = [one('X-Container-Read'), one('X-Container-Write')];
  return { ...(readAcl !== undefined && { readAcl }), ...(writeAcl !== undefined && { writeAcl }) };
}

function headersOfContainer(request: FastifyRequest, info: ContainerInfo): Record<string, string> {
  const owner = mayAccess(request.visit, info, 'own');
  const archive = archiveOf(info);
  return {
    'X-Container-Object-Count': String(info.objects),
    'X-Container-Bytes-Used': String(info.bytes + info.pastBytes),
    'X-Timestamp': timestampOf(info.createdAt),
    'Last-Modified': httpDate(info.updatedAt),
    'Accept-Ranges': 'bytes',
    'X-Storage-Policy': storagePolicy,
    ...metadataHeaders(owner ? info.metadata : withoutSecrets(info.metadata), 'container'),
    ...(info.quotaBytes !== null && { 'X-Container-Meta-Quota-Bytes': String(info.quotaBytes) }),
    ...(info.quotaObjects !== null && { 'X-Container-Meta-Quota-Count': String(info.quotaObjects) }),
    ...(owner && info.readAcl !== '' && { 'X-Container-Read': inHeader(info.readAcl) }),
    ...(owner && info.writeAcl !== '' && { 'X-Container-Write': inHeader(info.writeAcl) }),
    ...(info.versioning !== 'none' && { 'X-Versions-Enabled': info.versioning === 'enabled' ? 'True' : 'False' }),
    ...(archive && {
      [archive.mode === 'stack' ? 'X-Versions-Location' : 'X-History-Location']: encodeURIComponent(archive.container),
    }),
    ...corsHeaders(request, info),
  };
}

async function sendListing(request: FastifyRequest, reply: FastifyReply, services: ContainerServices) {
  const form = listForm(queryOf(request, 'format'), request.headers.accept);
  const where = whereOf(request);
  const wish = listWish(request);
  const info = await services.containers.show(request.visit, where, 'list');
  const path = queryOf(request, 'path');
  const entries =
    queryOf(request, 'versions') !== undefined
      ? await listVersions(request, services, wish)
      : path === undefined
        ? (await services.objects.list(request.visit, where, wish)).entries.map(entryOf)
        : await listPath(request, services, { ...wish, path });
  const body = containerListing(form, where.container, entries);
  return answer(reply, {
    status: body === '' ? 204 : 200,
    headers: { ...headersOfContainer(request, info), 'content-type': listTypes[form] },
    body,
  });
}

function entryOf(entry: ObjectInfo | { prefix: string }): ListedObject | Subdirectory {
  if ('prefix' in entry) return { subdir: entry.prefix };
  const { manifest } = entry;
  return {
    ...{ name: entry.name, hash: entry.etag, contentType: entry.contentType, lastModified: entry.updatedAt },
    bytes: manifest?.kind === 'slo' ? manifest.sizeBytes : entry.sizeBytes,
    ...(manifest?.kind === 'symlink' && manifest.projectId !== undefined && { symlinkPath: symlinkPath(manifest) }),
  };
}

const symlinkPath = ({ projectId, container, name }: { projectId?: string; container: string; name: string }) =>
  `/v1/AUTH_${projectId}/${container}/${name}`;

/** Swift's older way: what stands directly at a path, directories only where somebody has put an object for them. */
async function listPath(
  request: FastifyRequest,
  { objects }: ContainerServices,
  { path, ...wish }: ReturnType<typeof listWish> & { path: string },
): Promise<ListedObject[]> {
  const prefix = path === '' ? '' : `${path.replace(/\/+$/, '')}/`;
  const where = whereOf(request);
  const found: ListedObject[] = [];
  for (let marker = wish.marker; found.length < wish.limit; ) {
    const page = await objects.list(request.visit, where, { ...wish, prefix, delimiter: '/', marker });
    for (const entry of page.entries) {
      if (found.length === wish.limit) break;
      const one = 'prefix' in entry ? await markerObject(request, objects, entry.prefix) : entry;
      if (one && one.name !== prefix) found.push(entryOf(one) as ListedObject);
    }
    const last = page.entries.at(-1);
    if (!page.more || !last) break;
    marker = 'prefix' in last ? last.prefix : last.name;
  }
  return found;
}

async function markerObject(request: FastifyRequest, objects: ObjectService, name: string) {
  const { entries } = await objects.list(request.visit, whereOf(request), { prefix: name, limit: 1 });
  const [first] = entries;
  return first && 'name' in first && first.name === name ? first : undefined;
}

async function listVersions(
  request: FastifyRequest,
  { objects }: ContainerServices,
  wish: ReturnType<typeof listWish>,
): Promise<(ListedObject | Subdirectory)[]> {
  if (wish.reverse) throw new Refusal('invalid', 'Versions are not listed in reverse');
  const versionMarker = queryOf(request, 'version_marker');
  const { entries } = await objects.listVersions(request.visit, whereOf(request), {
    ...wish,
    ...(versionMarker !== undefined && { versionMarker }),
  });
  const named = versionMarker === undefined ? undefined : wish.marker;
  return entries.map((entry, index) => {
    if ('prefix' in entry) return { subdir: entry.prefix };
    const before = index === 0 ? named : nameOf(entries[index - 1]!);
    // The newest of a name comes first, and may be a mark that it was deleted.
    const version = { id: entry.versionId, latest: entry.name !== before };
    const deleted = entry.deleteMarker && { contentType: deletedType };
    return { ...(entryOf(entry) as ListedObject), version, ...deleted };
  });
}

const nameOf = (entry: ObjectInfo | { prefix: string }): string => ('prefix' in entry ? entry.prefix : entry.name);
