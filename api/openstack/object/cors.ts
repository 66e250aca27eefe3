/** What browsers ask before a page of another origin may use a container, and what they are told. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isCloudError } from '../../../contract/errors.ts';
import type { ContainerInfo, ContainerService } from '../../../control/object/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { answer } from './answer.ts';
import { inHeader } from './metadata.ts';
import { cloudItself, whereOf } from './request.ts';

const methods = ['HEAD', 'GET', 'PUT', 'POST', 'COPY', 'DELETE', 'OPTIONS'];
const exposed = [
  ...['cache-control', 'content-language', 'content-type', 'expires', 'last-modified', 'pragma', 'etag'],
  ...['x-timestamp', 'x-trans-id', 'x-openstack-request-id'],
];

const originsOf = ({ metadata }: Pick<ContainerInfo, 'metadata'>): string[] =>
  (metadata['access-control-allow-origin'] ?? '').split(/\s+/).filter((origin) => origin !== '');

function allowedOrigin(origin: string | undefined, container: Pick<ContainerInfo, 'metadata'>): string | undefined {
  const origins = originsOf(container);
  if (origin === undefined) return undefined;
  return origins.includes('*') ? '*' : origins.includes(origin) ? origin : undefined;
}

/** Of an answer that a page asked for. */
export function corsHeaders(
  request: FastifyRequest,
  container: Pick<ContainerInfo, 'metadata'>,
): Record<string, string> {
  const origin = allowedOrigin(request.headers.origin, container);
  if (origin === undefined) return {};
  const more = (container.metadata['access-control-expose-headers'] ?? '')
    .split(/[\s,]+/)
    .filter((name) => name !== '');
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers': inHeader([...new Set([...exposed, ...more])].join(', ')),
    ...(origin !== '*' && { Vary: 'Origin' }),
  };
}

const preflight = {
  summary: 'Ask what a page of another origin may do',
  rights: 'open',
  answers: { 200: null },
} as const;

export function corsRoutes(app: Boundary, containers: ContainerService): void {
  for (const path of ['/v1/:account', '/v1/:account/:container', '/v1/:account/:container/:object'] as const) {
    app.route(['OPTIONS'], path, preflight, async (request, reply) => sendPreflight(request, reply, containers));
  }
}

async function sendPreflight(request: FastifyRequest, reply: FastifyReply, containers: ContainerService) {
  const {
    origin,
    'access-control-request-method': wanted,
    'access-control-request-headers': headers,
  } = request.headers;
  const allow = methods.join(', ');
  if (origin === undefined) return answer(reply, { status: 200, headers: { Allow: allow } });
  const container = await containerOf(request, containers);
  const allowed = container && allowedOrigin(origin, container);
  if (!container || allowed === undefined || wanted === undefined || !methods.includes(wanted)) {
    throw new Refusal('unauthenticated', '', { details: { headers: { allow } } });
  }
  return answer(reply, {
    status: 200,
    headers: {
      'Access-Control-Allow-Origin': allowed,
      'Access-Control-Allow-Methods': allow,
      ...(headers !== undefined && { 'Access-Control-Allow-Headers': headers }),
      ...(container.metadata['access-control-max-age'] !== undefined && {
        'Access-Control-Max-Age': inHeader(container.metadata['access-control-max-age']),
      }),
      Allow: allow,
      Vary: 'Origin, Access-Control-Request-Headers',
    },
  });
}

/** Undefined: there is none, which nobody learns here. */
export async function containerOf(
  request: FastifyRequest,
  containers: ContainerService,
): Promise<ContainerInfo | undefined> {
  if (request.target?.container === undefined) return undefined;
  try {
    return await containers.show(cloudItself, whereOf(request));
  } catch (error) {
    if (isCloudError(error, 'not_found', 'invalid', 'unauthenticated', 'forbidden')) return undefined;
    throw error;
  }
}
