/** Version documents: open to all, as clients look for them before they have a token. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import * as a from './answers.ts';
import type { Resource } from './resource.ts';

const list = {
  summary: 'List versions',
  rights: 'open',
  answers: { 200: a.record({ versions: a.list({ id: a.text, status: a.text, links: a.links }) }) },
} as const;
const show = {
  summary: 'List the resources of the version',
  rights: 'open',
  answers: { 200: a.record({ resources: Type.Array(a.record({ name: a.text, collection: a.text, links: a.links })) }) },
} as const;

export function addVersions(
  app: Boundary,
  baseUrl: (request: FastifyRequest) => string,
  resources: readonly Resource[],
): void {
  const version = (request: FastifyRequest) => ({
    id: 'v2.0',
    status: 'CURRENT',
    links: [{ rel: 'self', href: `${baseUrl(request)}/v2.0/` }],
  });
  app.get('/', list, async (request) => ({ versions: [version(request)] }));
  app.get('/v2.0', show, async (request) => ({
    resources: resources.map(({ single, plural, path }) => ({
      name: single,
      collection: plural,
      links: [{ rel: 'self', href: `${baseUrl(request)}/v2.0/${path}` }],
    })),
  }));
}
