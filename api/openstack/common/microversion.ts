/**
 * Microversions, as Nova and Cinder have them: which version a request asks for. Within a major version a microversion is its minor
 * number here: 96 is 2.96. What answers, and in which headers it says so, is each service's own.
 */
import type { FastifyRequest } from 'fastify';
import { Refusal } from '../../boundary/refusal.ts';

/** The newest header of all services: it may name several, "compute 2.53, volume 3.1". */
const versionHeader = 'openstack-api-version';

declare module 'fastify' {
  interface FastifyRequest {
    /** Minor number of the microversion that is asked for; of services that have none, 1. */
    microversion: number;
  }
}

export interface VersionRange {
  /** As the header names it. */
  service: string;
  major: number;
  minimum: number;
  /** The newest whose differences are all honoured by the calls that we answer. */
  maximum: number;
}

export class UnsupportedVersion extends Error {
  constructor(asked: string, { major, minimum, maximum }: VersionRange) {
    super(
      `Version ${asked} is not supported by the API. Minimum is ${major}.${minimum} and maximum is ${major}.${maximum}.`,
    );
  }
}

/**
 * @param asked what a header says for the service; undefined: nothing
 * @throws CloudError `invalid` for what is no version, UnsupportedVersion for one out of range
 */
export function readMicroversion(asked: string | undefined, range: VersionRange): number {
  if (asked === undefined) return range.minimum;
  if (asked === 'latest') return range.maximum;
  const match = /^([1-9]\d*)\.([1-9]\d*|0)$/.exec(asked);
  if (!match) {
    throw new Refusal(
      'invalid',
      `API Version String ${asked.slice(0, 50)} is of invalid format. Must be of format MajorNum.MinorNum.`,
    );
  }
  const minor = Number(match[2]);
  if (match[1] !== String(range.major) || minor < range.minimum || minor > range.maximum) {
    throw new UnsupportedVersion(asked, range);
  }
  return minor;
}

/** What the common header says for a service. */
export function askedFor(headers: FastifyRequest['headers'], wanted: string): string | undefined {
  const lines = [headers[versionHeader] ?? []].flat();
  for (const item of lines.flatMap((line) => line.split(','))) {
    const [service, version] = item.trim().split(/\s+/);
    if (service === wanted && version !== undefined) return version;
  }
  return undefined;
}
