/** Several bodies one behind the other, as one. Each is opened when its turn comes, so that a thousand parts need no thousand open files. */
import type { Writable } from 'node:stream';
import type { Bytes } from './sending.ts';

export interface JoinedPart {
  length: number;
  /** Its bytes: exactly `length` of them. */
  open(): Promise<Bytes>;
}

/**
 * The first is opened at once: where it can't be, nothing was promised yet.
 * @throws what the first part can't be opened by; of a later one `sendTo` says so, and takes the sink along
 */
export async function joinBytes(parts: readonly JoinedPart[]): Promise<Bytes> {
  const filled = parts.filter(({ length }) => length > 0);
  let next = await filled[0]?.open();
  return {
    length: filled.reduce((sum, { length }) => sum + length, 0),
    destroy: () => next?.destroy(),
    async sendTo(sink: Writable, { end = true } = {}) {
      for (const [index, part] of filled.entries()) {
        const bytes = index === 0 ? next! : await openOr(part, sink);
        next = bytes;
        if (bytes.length !== part.length) {
          bytes.destroy();
          sink.destroy();
          throw new Error(`a part has ${bytes.length} bytes, not ${part.length}`);
        }
        await bytes.sendTo(sink, { end: false });
        // Nobody listens any more.
        if (sink.destroyed) return;
      }
      if (end) sink.end();
    },
  };
}

async function openOr({ open }: JoinedPart, sink: Writable): Promise<Bytes> {
  try {
    const bytes = await open();
    // Whose sink has gone meanwhile: sendTo sees it, and lets go.
    return bytes;
  } catch (error) {
    sink.destroy();
    throw error;
  }
}
