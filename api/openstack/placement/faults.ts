/** Placement's form of a refusal, and its words. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { SentenceTable } from '../../../contract/errors.ts';
import type { ProviderReasons } from '../../../control/compute/reasons.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import { speakFaults } from '../common/faults.ts';
import { hostSentences, kitSentences } from '../common/sentences.ts';
import { maximumVersion, minimumVersion } from './microversion.ts';

export const placementSentences: SentenceTable<KitReasons & HostReasons & ProviderReasons> = {
  ...kitSentences,
  ...hostSentences,
  host_not_found: ({ id }) => `No resource provider with uuid ${id} found`,
  provider_changed: () => 'resource provider generation conflict',
  trait_not_found: ({ name }) => `No such trait(s): ${name}.`,
  trait_in_use: ({ name }) => `The trait ${name} is in use by a resource provider.`,
  traits_unknown: ({ traits }) => `No such trait(s): ${traits}.`,
  traits_are_facts: ({ traits }) =>
    `A host is ${traits} by itself or not at all: only traits whose names begin with CUSTOM_ are said of it here.`,
};

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  503: 'Service Unavailable',
};

function placementFault(status: number, detail: string, request: FastifyRequest, code?: string) {
  const title = titles[status] ?? 'Internal Server Error';
  const known = request.microversion >= 23 && { code: code ?? 'placement.undefined_code' };
  return { errors: [{ status, title, detail, request_id: request.id, ...known }] };
}

/** Of what has a code of Placement's own (placement/errors.py). */
const codes: Readonly<Record<string, string>> = {
  provider_changed: 'placement.concurrent_update',
};

/** Of a version that there is not: it says which there are. */
export function versionFault(detail: string, request: FastifyRequest) {
  const [error] = placementFault(406, detail, request).errors;
  return { errors: [{ ...error, max_version: `1.${maximumVersion}`, min_version: `1.${minimumVersion}` }] };
}

export function speakPlacementFaults(app: FastifyInstance): void {
  speakFaults(app, {
    sentences: placementSentences,
    body(fault, request, reply) {
      if (fault.details.httpStatus !== undefined) fault.status = fault.details.httpStatus as number;
      reply.code(fault.status);
      for (const [name, value] of Object.entries((fault.details.headers ?? {}) as Record<string, string>)) {
        reply.header(name, value);
      }
      return placementFault(fault.status, fault.message, request, codes[fault.reason ?? '']);
    },
  });
}
