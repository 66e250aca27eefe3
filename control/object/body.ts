/** A caller's body into memory, if it is small enough for a record; else it is left as it was, with what was read of it put back. */
import type { Readable } from 'node:stream';
import { CloudError } from '../../contract/errors.ts';

const cutOff = (cause?: unknown) => new CloudError('invalid', 'upload_cut_off', {}, { cause });

/**
 * @returns undefined: there is more
 * @throws CloudError `invalid` where it ended before its end, or has another length than was said
 */
export async function readSmall(
  source: Readable,
  maxBytes: number,
  sizeBytes: number | undefined,
): Promise<Buffer | undefined> {
  if (sizeBytes !== undefined && sizeBytes > maxBytes) return undefined;
  if (source.errored) throw cutOff(source.errored);
  const whole = source.readableEnded ? Buffer.alloc(0) : await gather(source, maxBytes);
  if (whole !== undefined && sizeBytes !== undefined && whole.length !== sizeBytes) throw cutOff();
  return whole;
}

function gather(source: Readable, maxBytes: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = () => {
      source.off('readable', read).off('end', ended).off('error', broken).off('aborted', gone).off('close', gone);
    };
    const read = () => {
      for (let chunk: unknown = source.read(); chunk !== null; chunk = source.read()) {
        chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer));
        size += chunks.at(-1)!.length;
        if (size <= maxBytes) continue;
        end();
        source.unshift(Buffer.concat(chunks, size));
        resolve(undefined);
        return;
      }
    };
    const ended = () => {
      end();
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
    };
    const broken = (error: unknown) => {
      end();
      // A refusal of whoever looks at the bytes on their way is the answer.
      reject(error instanceof CloudError ? error : cutOff(error));
    };
    const gone = () => {
      end();
      reject(cutOff());
    };
    source.on('readable', read).on('end', ended).on('error', broken).on('aborted', gone).on('close', gone);
    if (source.destroyed) gone();
  });
}
