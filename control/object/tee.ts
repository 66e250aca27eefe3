/** A stream to several takers side by side, each with bytes of its own, as fast as the slowest takes them. If one fails all do. */
import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';

export async function writeToAll<T>(
  source: Readable,
  takers: readonly ((bytes: Readable) => Promise<T>)[],
): Promise<T[]> {
  const pipes = takers.map(() => new PassThrough({ highWaterMark: 1024 * 1024 }));
  const end = (error: Error) => {
    for (const pipe of pipes) pipe.destroy(error);
    source.destroy();
  };
  for (const pipe of pipes) pipe.on('error', () => {});
  const feeding = feed(source, pipes).catch((error) => {
    end(error as Error);
    throw error;
  });
  const taking = Promise.all(
    takers.map((take, at) =>
      take(pipes[at]!).catch((error) => {
        end(error as Error);
        throw error;
      }),
    ),
  );
  feeding.catch(() => {});
  return taking;
}

async function feed(source: Readable, pipes: readonly PassThrough[]): Promise<void> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    // Whoever takes them frees them: each has its own.
    const full = pipes.filter((pipe) => !pipe.write(Buffer.from(chunk)));
    await Promise.all(full.map((pipe) => once(pipe, 'drain')));
  }
  for (const pipe of pipes) pipe.end();
}
