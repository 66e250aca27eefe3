/** The body of a request to a host, out of a stream. If the process dies in it, the host sees its input end early and keeps nothing. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { CloudError } from '../../contract/errors.ts';
import { pump } from '../../protocols/bytes/index.ts';
import { collect, type HostEndpoint, maxAnswerBytes, refusal, unreachable } from './answers.ts';
import { silenceMs } from './connections.ts';

/** Inspection of a stored image may read much of it. */
const inspectionMs = 300_000;

/**
 * Pipes without looking at the bytes; the host's answer once it has it all. A host may refuse before it has read all: then its word counts, not the broken pipe.
 * @throws CloudError `upload_cut_off` when the source ends early, with the source's own error as its cause
 */
export function upload(
  host: HostEndpoint,
  request: ClientRequest,
  source: Readable,
  signal?: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let settled = false;
    let cut = false;
    let stopPumping = () => {};
    const finish = (settle: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      stopPumping();
      source.off('error', broken).off('aborted', broken).off('close', closed);
      signal?.removeEventListener('abort', aborted);
      settle();
    };
    const broken = (cause?: unknown) => {
      cut = true;
      request.destroy();
      finish(() => reject(new CloudError('invalid', 'upload_cut_off', {}, { cause })));
    };
    const aborted = () => broken(signal?.reason);
    const closed = () => {
      if (!source.readableEnded) broken(source.errored ?? undefined);
    };
    let timer: NodeJS.Timeout | undefined;
    request.setTimeout(silenceMs, () => {
      if (request.writableFinished) return;
      if (request.writableNeedDrain) request.destroy(new Error('the host fell silent'));
      else broken(new Error('the source fell silent'));
    });
    request.once('finish', () => {
      timer = setTimeout(() => request.destroy(new Error('the host did not answer')), inspectionMs);
    });
    request.once('response', (response) => {
      const done = response.statusCode! < 300;
      (done ? collect(host, response, maxAnswerBytes) : refusal(host, response).then(rethrow)).then(
        (result) => finish(() => resolve(result)),
        (error) => {
          finish(() => reject(error));
          request.destroy();
        },
      );
    });
    request.on('error', (error) => {
      // The host's refusal may be on its way behind the reset of a pipe that it closed.
      setImmediate(() => {
        if (!cut && !request.res) finish(() => reject(unreachable(host, error)));
      });
    });
    source.once('error', broken).once('aborted', broken).once('close', closed);
    signal?.addEventListener('abort', aborted, { once: true });
    if (source.destroyed && !source.readableEnded) broken(source.errored ?? undefined);
    else stopPumping = pump(source, request);
  });
}

declare module 'node:http' {
  interface ClientRequest {
    /** The answer, once it has come (Node sets it; the types don't say so). */
    res?: IncomingMessage | null;
  }
}

const rethrow = (error: CloudError): never => {
  throw error;
};
