/**
 * Nova's microversions: which version a request asks for, and the headers that say which one answered.
 * Within major version 2 a microversion is its minor number here: 96 is 2.96.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../../boundary/refusal.ts';

export const minimumVersion = 1;
/** The newest whose differences are all honoured by the calls that we answer. */
export const maximumVersion = 96;

const header = 'openstack-api-version';
const legacyHeader = 'x-openstack-nova-api-version';

declare module 'fastify' {
  interface FastifyRequest {
    /** Minor number of the compute microversion; 1 where the dialect is not Nova's. */
    microversion: number;
  }
}

export class UnsupportedVersion extends Error {
  constructor(asked: string) {
    super(
      `Version ${asked} is not supported by the API. Minimum is 2.${minimumVersion} and maximum is 2.${maximumVersion}.`,
    );
  }
}

/**
 * @throws CloudError `invalid` for what is no version, UnsupportedVersion for one out of range
 */
export function parseMicroversion(headers: FastifyRequest['headers']): number {
  const asked = askedFor(headers);
  if (asked === undefined) return minimumVersion;
  if (asked === 'latest') return maximumVersion;
  const match = /^([1-9]\d*)\.([1-9]\d*|0)$/.exec(asked);
  if (!match) {
    throw new Refusal(
      'invalid',
      `API Version String ${asked.slice(0, 50)} is of invalid format. Must be of format MajorNum.MinorNum.`,
    );
  }
  const minor = Number(match[2]);
  if (match[1] !== '2' || minor < minimumVersion || minor > maximumVersion) throw new UnsupportedVersion(asked);
  return minor;
}

/** The new header may name several services: "compute 2.53, volume 3.1". It wins over the old one. */
function askedFor(headers: FastifyRequest['headers']): string | undefined {
  const lines = [headers[header] ?? []].flat();
  for (const item of lines.flatMap((line) => line.split(','))) {
    const [service, version] = item.trim().split(/\s+/);
    if (service === 'compute' && version !== undefined) return version;
  }
  return [headers[legacyHeader] ?? []].flat()[0]?.trim();
}

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
