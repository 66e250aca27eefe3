/**
 * A container as a web site, for who comes without a token (or asks for it, `X-Web-Mode: true`): its index page, a page of what is
 * in a directory, its own pages about errors. What it is, its owner says in the container's metadata: `web-index`, `web-listings`,
 * `web-listings-css`, `web-listings-label`, `web-error`, `web-directory-type`.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CloudError, isCloudError } from '../../../contract/errors.ts';
import type { ContainerInfo, ContainerService, ObjectInfo, ObjectService } from '../../../control/object/index.ts';
import { headersOf } from '../../boundary/headers.ts';
import { answer } from './answer.ts';
import { corsHeaders } from './cors.ts';
import { escapeHtml } from './faults.ts';
import { sendObject } from './object-read.ts';
import { encodedPath } from './path.ts';
import { cloudItself, truthy, whereOf } from './request.ts';

export interface Web {
  objects: ObjectService;
  containers: ContainerService;
  web: ContainerInfo;
}

/** Undefined: the container is shown as what it is. */
export async function showsWeb(
  request: FastifyRequest,
  containers: ContainerService,
): Promise<ContainerInfo | undefined> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
  if (request.visit.caller !== null && !truthy(headersOf(request)['x-web-mode'])) return undefined;
  try {
    const info = await containers.show(cloudItself, whereOf(request));
    return info.metadata['web-index'] || truthy(info.metadata['web-listings']) || info.metadata['web-error']
      ? info
      : undefined;
  } catch (error) {
    if (isCloudError(error, 'not_found')) return undefined;
    throw error;
  }
}

export async function sendWebContainer(request: FastifyRequest, reply: FastifyReply, web: Web): Promise<FastifyReply> {
  if (!request.originalUrl.split('?', 1)[0]!.endsWith('/')) return withSlash(request, reply);
  return sendDirectory(request, reply, { ...web, prefix: '' });
}

/** A page's own addresses are relative to the directory that it stands in. */
function withSlash(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path, query] = request.originalUrl.split('?', 2);
  return answer(reply, { status: 301, headers: { Location: `${path}/${query === undefined ? '' : `?${query}`}` } });
}

/** What is not there as an object: perhaps it is a directory. @param error why it is none */
export async function sendWebObject(
  request: FastifyRequest,
  reply: FastifyReply,
  { error, name, ...web }: Web & { error: unknown; name: string },
): Promise<FastifyReply> {
  if (!isCloudError(error, 'not_found')) return sendError(request, reply, { ...web, error });
  if (name.endsWith('/')) return sendDirectory(request, reply, { ...web, prefix: name });
  if (await hasNames(request, web, `${name}/`)) return withSlash(request, reply);
  return sendError(request, reply, { ...web, error });
}

async function hasNames(request: FastifyRequest, { objects }: Web, prefix: string): Promise<boolean> {
  const { entries } = await objects.list(cloudItself, whereOf(request), { prefix, limit: 1 });
  return entries.length > 0;
}

async function sendDirectory(
  request: FastifyRequest,
  reply: FastifyReply,
  { prefix, ...web }: Web & { prefix: string },
): Promise<FastifyReply> {
  const { metadata } = web.web;
  const where = whereOf(request);
  const index = metadata['web-index'];
  if (index) {
    try {
      const headers = corsHeaders(request, web.web);
      return await sendObject(request, reply, {
        ...{ objects: web.objects, visitor: request.visit, where, name: `${prefix}${index}`, headers },
      });
    } catch (error) {
      if (!isCloudError(error, 'not_found')) return sendError(request, reply, { ...web, error });
    }
  }
  try {
    if (!truthy(metadata['web-listings'])) {
      // Whoever may not look around is told so; who may, that there is nothing.
      await web.containers.show(request.visit, where, index ? 'read' : 'list');
      throw new CloudError('not_found', 'object_not_found', { container: where.container, name: prefix });
    }
    return await sendPage(request, reply, { ...web, prefix });
  } catch (error) {
    return sendError(request, reply, { ...web, error });
  }
}

async function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  { prefix, objects, web }: Web & { prefix: string },
) {
  const { entries } = await objects.list(request.visit, whereOf(request), { prefix, delimiter: '/' });
  if (entries.length === 0 && prefix !== '') {
    throw new CloudError('not_found', 'object_not_found', { container: web.name, name: prefix });
  }
  return answer(reply, {
    status: 200,
    headers: corsHeaders(request, web),
    body: pageOf(request, web, { prefix, entries }),
  });
}

function pageOf(
  request: FastifyRequest,
  { metadata, name }: ContainerInfo,
  { prefix, entries }: { prefix: string; entries: (ObjectInfo | { prefix: string })[] },
): string {
  const { account } = request.params as { account: string };
  const label = metadata['web-listings-label'] ?? `/v1/${account}/${name}`;
  const css = metadata['web-listings-css'];
  const up = '../'.repeat(prefix.split('/').length - 1);
  const address = css && (/^(https?:)?\/\//.test(css) || css.startsWith('/') ? css : `${up}${css}`);
  const style = address
    ? `<link rel="stylesheet" type="text/css" href="${escapeHtml(address)}" />`
    : '<style type="text/css">th {text-align: left; padding-right: 2em} td {padding-right: 2em}</style>';
  const title = `Listing of ${escapeHtml(`${label}/${prefix}`)}`;
  const rows = entries.map((entry) => {
    const whole = 'prefix' in entry ? entry.prefix : entry.name;
    const shown = whole.slice(prefix.length);
    if (shown === '') return '';
    const link = `<a href="${escapeHtml(`./${encodedPath(shown)}`)}">${escapeHtml(shown)}</a>`;
    if ('prefix' in entry) return `<tr class="item subdir"><td class="colname">${link}</td><td></td><td></td></tr>\n`;
    const size = `<td class="colsize">${entry.sizeBytes}</td><td class="coldate">${entry.updatedAt.toISOString()}</td>`;
    return `<tr class="item"><td class="colname">${link}</td>${size}</tr>\n`;
  });
  const parent =
    prefix === ''
      ? ''
      : '<tr id="parent" class="item"><td class="colname"><a href="../">../</a></td><td></td><td></td></tr>\n';
  return `<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><title>${title}</title>
${style}
</head>
<body>
<h1 id="title">${title}</h1>
<table id="listing">
<tr id="heading"><th class="colname">Name</th><th class="colsize">Size</th><th class="coldate">Date</th></tr>
${parent}${rows.join('')}</table>
</body>
</html>
`;
}

/** The site's own page about it, if it has one: `web-error: error.html` means `404error.html`. @throws the error itself */
async function sendError(
  request: FastifyRequest,
  reply: FastifyReply,
  { error, objects, web }: Web & { error: unknown },
) {
  const status = isCloudError(error, 'not_found') ? 404 : isCloudError(error, 'unauthenticated') ? 401 : undefined;
  const ending = web.metadata['web-error'];
  if (status === undefined || !ending) throw error;
  try {
    return await sendObject(request, reply, {
      ...{ objects, visitor: request.visit, where: whereOf(request), name: `${status}${ending}`, status },
    });
  } catch {
    throw error;
  }
}
