import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { pump } from './pump.ts';

/** Has what it was given when it calls back, as sockets have. */
function copying(): { sink: Writable; taken: Buffer[] } {
  const taken: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      taken.push(Buffer.from(chunk));
      setImmediate(done);
      this.emit('taken');
    },
  });
  return { sink, taken };
}

test('bytes come out as they went in, however they were cut', async () => {
  for (const chunkBytes of [1, 1000, 16_384, 300_000, 3_000_000]) {
    const bytes = randomBytes(Math.min(chunkBytes * 300, 5_000_000));
    const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
      Buffer.from(bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes)),
    );
    const { sink, taken } = copying();
    pump(Readable.from(chunks, { objectMode: false }), sink);
    await once(sink, 'finish');
    assert.ok(Buffer.concat(taken).equals(bytes), `in chunks of ${chunkBytes}`);
  }
});

test('a slow source’s bytes do not wait for more', async () => {
  const source = new PassThrough();
  const { sink, taken } = copying();
  pump(source, sink);
  for (const byte of ['a', 'b']) {
    source.write(byte);
    await once(sink, 'taken');
  }
  assert.equal(Buffer.concat(taken).toString(), 'ab');
  source.end();
  await once(sink, 'finish');
});

test('a source is not read further than a sink takes', async () => {
  let read = 0;
  const source = new Readable({
    read() {
      read += 65_536;
      this.push(Buffer.alloc(65_536));
    },
  });
  let take: () => void = () => {};
  const sink = new Writable({
    write(_chunk, _encoding, done) {
      take = done;
    },
  });
  const paused = once(source, 'pause');
  const stop = pump(source, sink);
  await paused;
  assert.ok(read < 3 * 1024 * 1024);
  const resumed = once(source, 'resume');
  take();
  await resumed;
  stop();
  source.destroy();
});
