import { Writable } from 'node:stream';
import type { Bytes } from '../../protocols/bytes/index.ts';

/** All bytes of an answer. @throws why they did not come whole */
export async function collect(answer: Bytes): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await answer.sendTo(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(Buffer.from(chunk));
        done();
      },
    }),
  );
  return Buffer.concat(chunks);
}
