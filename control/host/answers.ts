/** What a host's HTTPS service answers, read; what it refuses, as a CloudError. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Static, TSchema } from 'typebox';
import { CloudError, type ErrorCode, errorCodes } from '../../contract/errors.ts';
import type { HostError } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import { read } from '../../contract/schema/read.ts';
import { beginningOf } from '../kit/text.ts';

/** Where a host's service answers; from its HostFacts. */
export interface HostEndpoint {
  id: HostId;
  /** Empty where it has told none. */
  url: string;
}

export const maxAnswerBytes = 1024 * 1024;

/** @throws CloudError `unavailable` where the host has answered something else */
export function answerOf<T extends TSchema>(host: HostEndpoint, schema: T, bytes: Buffer): Static<T> {
  try {
    return read(schema, JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw unreachable(host, cause);
  }
}

export const unreachable = (host: HostEndpoint, cause: unknown): CloudError =>
  new CloudError('unavailable', 'host_unreachable', { host: host.id }, { cause });

/** The answer's head. */
export function answer(host: HostEndpoint, request: ClientRequest, timeoutMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    request.once('response', (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(unreachable(host, error));
    });
  });
}

export async function collect(host: HostEndpoint, response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`);
    }
  } catch (error) {
    throw unreachable(host, error);
  }
  return Buffer.concat(chunks);
}

const byStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid',
  404: 'not_found',
  409: 'conflict',
  411: 'invalid',
  413: 'too_large',
  415: 'invalid',
  507: 'no_capacity',
};

export async function refusal(host: HostEndpoint, response: IncomingMessage): Promise<CloudError> {
  const body = await collect(host, response, maxAnswerBytes).catch(() => Buffer.alloc(0));
  return refused(host, response.statusCode!, body.toString('utf8'));
}

/** The host's refusal as a CloudError: its own code where it is one of ours, else by HTTP status. */
export function refused(host: HostEndpoint, status: number, body: string): CloudError {
  let said: HostError['error'] | undefined;
  try {
    said = (JSON.parse(body) as HostError).error;
  } catch {}
  const code = errorCodes.find((known) => known === said?.code) ?? byStatus[status] ?? 'unavailable';
  const text = typeof said?.message === 'string' ? beginningOf(said.message, 1000) : `the host answered ${status}`;
  return new CloudError(code, 'host_refused', { host: host.id, host_code: String(said?.code ?? status), said: text });
}
