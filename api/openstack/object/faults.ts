/** Refusals as Swift says them: a page of HTML with the status's own words, or a plain sentence where Swift has one. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { ErrorCode } from '../../../contract/errors.ts';
import type { Fault, FaultForm } from '../common/faults.ts';
import { swiftSentences } from './sentences.ts';

/** Titles and words of swob (openstack/swift, swift/common/swob.py), which clients show. */
const pages: Readonly<Record<number, readonly [title: string, words: string]>> = {
  303: ['See Other', ''],
  400: [
    'Bad Request',
    'The server could not comply with the request since it is either malformed or otherwise incorrect.',
  ],
  401: ['Unauthorized', 'This server could not verify that you are authorized to access the document you requested.'],
  403: ['Forbidden', 'Access was denied to this resource.'],
  404: ['Not Found', 'The resource could not be found.'],
  405: ['Method Not Allowed', 'The method is not allowed for this resource.'],
  406: ['Not Acceptable', 'The resource is not available in a format acceptable to your browser.'],
  408: ['Request Timeout', 'The server has waited too long for the request to be sent by the client.'],
  409: ['Conflict', 'There was a conflict when trying to complete your request.'],
  411: ['Length Required', 'Content-Length header required.'],
  412: ['Precondition Failed', 'A precondition for this request was not met.'],
  413: ['Request Entity Too Large', 'The body of your request was too large for this server.'],
  416: ['Requested Range Not Satisfiable', 'The Range requested is not available.'],
  422: ['Unprocessable Entity', 'Unable to process the contained instructions'],
  500: ['Internal Error', 'The server has either erred or is incapable of performing the requested operation.'],
  501: ['Not Implemented', 'The requested method is not implemented by this server.'],
  503: ['Service Unavailable', 'The server is currently unavailable. Please try again at a later time.'],
  507: ['Insufficient Storage', 'There was not enough space to save the resource. Drive: '],
};

/** `404 Not Found`. */
export const statusLine = (status: number): string => `${status} ${pages[status]?.[0] ?? 'Error'}`;

export const escapeHtml = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#x27;');

function pageOf(status: number): string {
  const [title, words] = pages[status] ?? ['Error', ''];
  return `<html><h1>${title}</h1><p>${words}</p></html>`;
}

/** A refusal's body is only text. */
export const swiftFault = Type.String({ title: 'SwiftFault' });

const overrides: Partial<Record<ErrorCode, number>> = { quota_exceeded: 413, no_capacity: 507, expired: 410 };

/** A sentence of the table that is this is said by the status's own page. */
const itsPage = '';

/** What a refusal says besides its status; used also where one refusal of many stands in a list. */
export const objectFaults: FaultForm = {
  overrides,
  reasonOverrides: {
    object_precondition_failed: 412,
    checksum_mismatch: 422,
    object_bytes_unavailable: 503,
    object_intent_closed: 503,
  },
  sentences: swiftSentences,
  body(fault: Fault, request: FastifyRequest, reply: FastifyReply): string {
    const status = (fault.details.httpStatus as number | undefined) ?? fault.status;
    reply.code(status).type('text/html; charset=UTF-8');
    const headers = (fault.details.headers ?? {}) as Record<string, string>;
    for (const [name, value] of Object.entries(headers)) reply.header(name, value);
    if (status === 401) {
      const account = (request.params as { account?: string } | undefined)?.account ?? 'unknown';
      reply.header('www-authenticate', [
        `Keystone uri="https://${request.host}/identity"`,
        `Swift realm="${encodeURIComponent(account)}"`,
      ]);
    }
    return fault.message === itsPage || isOwnWords(fault) ? pageOf(status) : escapeHtml(fault.message);
  },
};

/** Of who asks without a right Swift says no more than the status. */
const isOwnWords = ({ code, reason }: Fault): boolean =>
  reason !== undefined && ['unauthenticated', 'forbidden', 'not_found', 'internal', 'unavailable'].includes(code);
