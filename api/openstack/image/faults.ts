/**
 * Glance's faults: WebOb's, in the form that Accept asks for. `*\/*` means HTML to WebOb, and glanceclient reads that (its JSON branch
 * can't read WebOb's JSON), so it stays so; openstacksdk and Tempest ask for JSON or read both.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../../../contract/errors.ts';
import { http } from '../../../contract/node-http.ts';
import type { Fault, FaultForm } from '../common/faults.ts';
import { glanceSentences } from './sentences.ts';

/** Where Glance's habit differs: what is over a limit, or does not fit on the storage, is 413. */
const overrides: Partial<Record<ErrorCode, number>> = { quota_exceeded: 413, no_capacity: 413 };

/** WebOb's titles where they differ from Node's. */
const titles: Readonly<Record<number, string>> = { 413: 'Request Entity Too Large' };

export const imageFaults: FaultForm = {
  overrides,
  sentences: glanceSentences,
  body(fault: Fault, request: FastifyRequest, reply: FastifyReply): string {
    // An image that was deleted under its upload: Glance says 410.
    if (fault.reason === 'image_deleted_during_upload') fault.status = 410;
    if (fault.details.httpStatus !== undefined) fault.status = fault.details.httpStatus as number;
    reply.code(fault.status);
    for (const [name, value] of Object.entries((fault.details.headers ?? {}) as Record<string, string>)) {
      reply.header(name, value);
    }
    const title = titles[fault.status] ?? http.STATUS_CODES[fault.status] ?? 'Error';
    const code = `${fault.status} ${title}`;
    const form = preferredForm(request.headers.accept);
    if (form === 'json') {
      reply.type('application/json; charset=UTF-8');
      return JSON.stringify({ message: fault.message, code, title });
    }
    if (form === 'html') {
      reply.type('text/html; charset=UTF-8');
      return htmlOf(code, fault.message);
    }
    reply.type('text/plain; charset=UTF-8');
    return `${code}\n\n${fault.message}\n`;
  },
};

/** Quotes stay: the text stands in an element, and clients show it as it came. */
const escapeHtml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const htmlOf = (code: string, message: string): string => `<html>
 <head>
  <title>${code}</title>
 </head>
 <body>
  <h1>${code}</h1>
  ${escapeHtml(message)}<br /><br />
 </body>
</html>
`;

/**
 * As WebOb chooses between its two offers; a header that accepts neither gets plain text. An empty header too, with WebOb; but
 * openstacksdk sends that with uploads and patches and drops plain text, so that its user would never read why.
 */
function preferredForm(accept: string | undefined): 'html' | 'json' | 'plain' {
  if (!accept) return 'html';
  let html = 0;
  let json = 0;
  for (const part of accept.split(',')) {
    const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const quality = q === undefined ? 1 : Number(q.slice(2)) || 0;
    if (range === '*/*' || range === 'text/*' || range === 'text/html') html = Math.max(html, quality);
    if (range === '*/*' || range === 'application/*' || range === 'application/json') json = Math.max(json, quality);
  }
  if (html === 0 && json === 0) return 'plain';
  return json > html ? 'json' : 'html';
}
