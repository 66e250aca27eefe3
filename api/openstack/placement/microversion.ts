/** Placement's microversions. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { askedFor, readMicroversion, UnsupportedVersion, type VersionRange } from '../common/microversion.ts';

const range: VersionRange = { service: 'placement', major: 1, minimum: 0, maximum: 39 };
export const { minimum: minimumVersion, maximum: maximumVersion } = range;

/** Every answer names its version, and from 1.15 on how old it is; faults too. */
export function speakMicroversions(
  app: FastifyInstance,
  refuse: (error: UnsupportedVersion, reply: FastifyReply) => unknown,
): void {
  app.decorateRequest('microversion', minimumVersion);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('vary', 'openstack-api-version');
    try {
      request.microversion = readMicroversion(askedFor(request.headers, range.service), range);
    } catch (error) {
      if (error instanceof UnsupportedVersion) return refuse(error, reply);
      throw error;
    }
    reply.header('openstack-api-version', `placement 1.${request.microversion}`);
    if (request.microversion >= 15)
      reply.header('cache-control', 'no-cache').header('last-modified', new Date().toUTCString());
  });
}
