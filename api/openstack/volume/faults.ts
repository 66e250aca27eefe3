/** Cinder's form of a refusal: one key that depends on the status, with code and message. */
import type { FastifyInstance } from 'fastify';
import type { Reason } from '../../../contract/errors.ts';
import { speakFaults } from '../common/faults.ts';
import { cinderSentences } from './sentences.ts';

const names: Readonly<Record<number, string>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  501: 'notImplemented',
  503: 'serviceUnavailable',
};

const conflicts: Partial<Record<Reason, number>> = {
  volume_type_name_taken: 409,
  volume_type_access_exists: 409,
  qos_specs_name_taken: 409,
  group_type_name_taken: 409,
  attachment_of_server: 409,
  volume_revert_unfit: 409,
};

export const cinderFault = (code: number, message: string): Record<string, { code: number; message: string }> => ({
  [names[code] ?? 'computeFault']: { code, message },
});

export function speakCinderFaults(app: FastifyInstance): void {
  speakFaults(app, {
    sentences: cinderSentences,
    // What is in the wrong state is 400 to Cinder (InvalidVolume), and a quota 413; 409 it says where something is there already.
    overrides: { conflict: 400, quota_exceeded: 413 },
    reasonOverrides: conflicts,
    body: (fault) => cinderFault(fault.status, fault.message),
  });
}
