/** Which versions of the Image API there are; open to all. */
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** 2.8, 2.10 to 2.15 are about several stores, staging hosts and caches that Bothy does not have. */
const current = 'v2.9';
const supported = ['v2.7', 'v2.6', 'v2.5', 'v2.4', 'v2.3', 'v2.2', 'v2.1', 'v2.0'];

export function versionRoutes(app: FastifyInstance): void {
  const versions = (request: FastifyRequest) => ({
    versions: [current, ...supported].map((id) => ({
      id,
      status: id === current ? 'CURRENT' : 'SUPPORTED',
      links: [{ rel: 'self', href: `https://${request.host}/image/v2/` }],
    })),
  });
  const config = { open: true };
  // 300 Multiple Choices, as Glance says at its root.
  app.get('/', { config }, async (request, reply) => reply.code(300).send(versions(request)));
  app.get('/versions', { config }, async (request) => versions(request));
  // Catalogues name the version's own URL; discovery begins there.
  app.get('/v2', { config }, async (request) => versions(request));
}
