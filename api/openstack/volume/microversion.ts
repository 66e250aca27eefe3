/** Cinder's microversions, 3.0 to 3.70, and the header that says which one answered. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { askedFor, readMicroversion, UnsupportedVersion, type VersionRange } from '../common/microversion.ts';

const range: VersionRange = { service: 'volume', major: 3, minimum: 0, maximum: 70 };
export const { minimum: minimumVersion, maximum: maximumVersion } = range;

/** Every answer names its version, faults too. */
export function speakMicroversions(
  app: FastifyInstance,
  refuse: (error: UnsupportedVersion, reply: FastifyReply) => unknown,
): void {
  app.decorateRequest('microversion', minimumVersion);
  app.addHook('onRequest', async (request, reply) => {
    // The name that Cinder took over from Nova.
    reply.header('x-compute-request-id', request.id);
    reply.header('vary', 'OpenStack-API-Version');
    try {
      request.microversion = readMicroversion(askedFor(request.headers, range.service), range);
    } catch (error) {
      if (error instanceof UnsupportedVersion) return refuse(error, reply);
      throw error;
    }
    reply.header('OpenStack-API-Version', `volume 3.${request.microversion}`);
  });
}
