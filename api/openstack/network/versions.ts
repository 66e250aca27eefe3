/** Version documents: open to all, as clients look for them before they have a token. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Resource } from './resource.ts';

export function addVersions(
  app: FastifyInstance,
  baseUrl: (request: FastifyRequest) => string,
  resources: readonly Resource[],
): void {
  const open = { config: { open: true } };
  const version = (request: FastifyRequest) => ({
    id: 'v2.0',
    status: 'CURRENT',
    links: [{ rel: 'self', href: `${baseUrl(request)}/v2.0/` }],
  });
  app.get('/', open, async (request) => ({ versions: [version(request)] }));
  app.get('/v2.0', open, async (request) => ({
    resources: resources.map(({ single, plural, path }) => ({
      name: single,
      collection: plural,
      links: [{ rel: 'self', href: `${baseUrl(request)}/v2.0/${path}` }],
    })),
  }));
}
