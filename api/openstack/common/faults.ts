/**
 * From any thrown thing to an HTTP status and a message that the caller may read. Each service's own plugin puts it into
 * its own body form (Nova: {"itemNotFound": …}, Neutron: {"NeutronError": …}, Keystone: {"error": …}).
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  CloudError,
  type ErrorCode,
  type Reason,
  type Reasons,
  type SentenceTable,
  sentenceOf,
} from '../../../contract/errors.ts';
import { isDatabaseUnavailable } from '../../../control/kit/database/database.ts';
import { Refusal } from '../../boundary/refusal.ts';

/** HTTP status by meaning. Services with other habits (Nova: quota is 403) pass overrides. */
export const statusOf: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  quota_exceeded: 409,
  no_capacity: 409,
  too_large: 413,
  expired: 410,
  unavailable: 503,
  internal: 500,
};

export interface Fault {
  status: number;
  code: ErrorCode;
  /** Of what control refused. */
  reason?: Reason;
  message: string;
  details: Readonly<Record<string, unknown>>;
}

const defect: Fault = {
  status: 500,
  code: 'internal',
  message: 'An unexpected error prevented the server from fulfilling your request.',
  details: {},
};

export function toFault(
  error: unknown,
  form: Pick<FaultForm, 'overrides' | 'reasonOverrides' | 'sentences'> = {},
): Fault {
  if (error instanceof CloudError) {
    const ofReason = form.reasonOverrides?.[(error as CloudError).reason];
    const status = ofReason ?? form.overrides?.[error.code] ?? statusOf[error.code];
    if (error.code === 'internal') return { ...defect, status };
    // What a dialect itself refuses has a sentence already, and no reason.
    const said = error instanceof Refusal;
    const message = said ? error.sentence : (sentenceOf(error, form.sentences ?? {}) ?? error.message);
    return { status, code: error.code, ...(!said && { reason: error.reason }), message, details: { ...error.fields } };
  }
  // First: a body that its sender breaks off ends with the ECONNRESET of a lost database.
  const { statusCode, message } = error as Partial<FastifyError>;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const code: ErrorCode = statusCode === 413 ? 'too_large' : statusCode === 404 ? 'not_found' : 'invalid';
    return { status: statusCode, code, message: message ?? 'Bad request', details: {} };
  }
  if (isDatabaseUnavailable(error)) {
    return {
      status: 503,
      code: 'unavailable',
      message: 'The service is currently unavailable; try again in a moment.',
      details: {},
    };
  }
  return { ...defect };
}

export interface FaultForm {
  /** Builds the body; may set headers. */
  body(fault: Fault, request: FastifyRequest, reply: FastifyReply): unknown;
  overrides?: Partial<Record<ErrorCode, number>>;
  /** Where one reason has another status than the rest of its code. */
  reasonOverrides?: Partial<Record<Reason, number>>;
  /** What is told of a path that is none of the dialect's; undefined: as of any. */
  unknownPath?(path: string): string | undefined;
  /** The dialect's words. A reason that is not among them (of an area that the dialect does not reach) is told plainly. */
  sentences?: Partial<SentenceTable<Reasons>>;
}

/** A console's token opens it for whoever reads it, also where it stands in an address within another. */
const withoutTokens = (url: string): string => url.replace(/(token(?:s?\/|s?=|%3D))[^&/?%]+/gi, '$1***');

const tooMany = ['too_many_logins', 'too_many_wrong_logins'];

/** Installs error and not-found handlers that speak one service's form. Defects are logged once, here, with their cause. */
export function speakFaults(app: FastifyInstance, form: FaultForm): void {
  const send = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const fault = toFault(error, form);
    // Too many at once are no defect; a line for each would be the next flood.
    if (fault.status >= 500 && !tooMany.includes(fault.reason ?? ''))
      request.log.error({ err: error, requestId: request.id, url: withoutTokens(request.url) }, 'request failed');
    if (!request.raw.complete && reply.getHeader('connection') === 'close') answerBeforeClosing(request, reply);
    if (fault.status === 401) reply.header('www-authenticate', `Keystone uri="https://${request.host}/identity"`);
    return reply.code(fault.status).send(form.body(fault, request, reply));
  };
  app.setErrorHandler(send);
  app.setNotFoundHandler((request, reply) => {
    const told = form.unknownPath?.(request.url.split('?', 1)[0]!) ?? 'The resource could not be found.';
    return send(new Refusal('not_found', told), request, reply);
  });
}

/** How long a client may go on sending what was refused. */
const drainMs = 5000;

/**
 * Fastify closes the connection of a body that it does not want. A client that still sends would lose our answer to the
 * reset, so what it sends is dropped for a while.
 */
function answerBeforeClosing({ raw }: FastifyRequest, reply: FastifyReply): void {
  reply.removeHeader('connection');
  raw.resume();
  const patience = setTimeout(() => raw.destroy(), drainMs).unref();
  raw.once('close', () => clearTimeout(patience));
}
