/** Nova's form of a refusal: one key that depends on the status, with code and message. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { speakFaults } from '../common/faults.ts';
import { novaSentences } from './sentences.ts';

const names: Readonly<Record<number, string>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  429: 'overLimit',
  501: 'notImplemented',
  503: 'serviceUnavailable',
};

export const novaFault = (code: number, message: string): Record<string, { code: number; message: string }> => ({
  [names[code] ?? 'computeFault']: { code, message },
});

export function speakNovaFaults(app: FastifyInstance): void {
  speakFaults(app, {
    sentences: novaSentences,
    // Nova answers 403 where others say 409 or 413: a quota is a matter of rights to it.
    overrides: { quota_exceeded: 403 },
    body: (fault) => novaFault(fault.status, fault.message),
  });
}

/** What a driver of Nova's may not know how to do, and its clients expect that. */
export const unsupported = (reply: FastifyReply): FastifyReply =>
  reply.code(501).send(novaFault(501, 'The requested functionality is not supported.'));
