/** Nova's microversions, and the headers that say which one answered. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { askedFor, readMicroversion, UnsupportedVersion, type VersionRange } from '../common/microversion.ts';

const range: VersionRange = { service: 'compute', major: 2, minimum: 1, maximum: 96 };
export const { minimum: minimumVersion, maximum: maximumVersion } = range;

const legacyHeader = 'x-openstack-nova-api-version';

/**
 * The common header wins over Nova's own.
 * @throws CloudError `invalid` for what is no version, UnsupportedVersion for one out of range
 */
const parseMicroversion = (headers: FastifyRequest['headers']): number =>
  readMicroversion(askedFor(headers, range.service) ?? [headers[legacyHeader] ?? []].flat()[0]?.trim(), range);

/** v2.0 is 2.1 without microversions: it never heard of their headers. */
const isLegacy = (url: string): boolean => /^\/compute\/v2(?:[/?]|$)/.test(url);

/** Every answer names its version, faults too. */
export function speakMicroversions(
  app: FastifyInstance,
  refuse: (error: UnsupportedVersion, reply: FastifyReply) => unknown,
): void {
  app.decorateRequest('microversion', minimumVersion);
  app.addHook('onRequest', async (request, reply) => {
    // Beside the common name, for clients that know Nova only by its own.
    reply.header('x-compute-request-id', request.id);
    if (isLegacy(request.url)) return;
    reply.header('vary', 'OpenStack-API-Version, X-OpenStack-Nova-API-Version');
    try {
      request.microversion = parseMicroversion(request.headers);
    } catch (error) {
      if (error instanceof UnsupportedVersion) return refuse(error, reply);
      throw error;
    }
    reply.header('OpenStack-API-Version', `compute 2.${request.microversion}`);
    reply.header('X-OpenStack-Nova-API-Version', `2.${request.microversion}`);
  });
}
