/** Copies of other hosts' layers take turns: who waits may leave, replicas wait for no others, and a source that trickles loses its turn. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { type LayerId, newId } from '../../contract/ids.ts';
import { until } from '../../test/support/until.ts';
import { LayerCopies } from './copies.ts';

const mebibyte = Buffer.alloc(2 ** 20, 1);

/** Copies of layers of two mebibytes, of which nothing comes before it is given. */
function copying(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'lc-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const bodies: PassThrough[] = [];
  let nowMs = 0;
  const open = async () => {
    const body = Object.assign(new PassThrough(), { headers: { 'content-length': `${2 * mebibyte.length}` } });
    bodies.push(body);
    return { body: body as unknown as IncomingMessage, offset: 0 };
  };
  const copies = new LayerCopies(open, () => nowMs);
  let received = 0;
  const begin = ({ replica = false, whole = false, signal = new AbortController().signal } = {}) => {
    const copy = { layerId: newId<LayerId>(), host: 'https://10.0.0.1:8444', replica, whole };
    const into = { to: join(directory, copy.layerId), sizeBytes: 2 ** 26 };
    const done = copies.take(copy, into, { signal, progress: () => void received++ });
    done.catch(() => {});
    return done;
  };
  return {
    ...{ bodies, begin },
    opened: (n: number) => until(`${n} to be open`, () => bodies.length === n),
    taken: (n: number) => until(`${n} pieces to be taken`, () => received === n),
    pass: (ms: number) => {
      nowMs += ms;
    },
    finish: (body: PassThrough) => body.end(Buffer.concat([mebibyte, mebibyte])),
  };
}

test('a copy that nobody wants any more waits no longer, and takes nobody’s turn', async (t) => {
  const { begin, bodies, opened, finish } = copying(t);
  const running = [begin(), begin()];
  await opened(2);
  const stop = new AbortController();
  const waiting = begin({ signal: stop.signal });
  const next = begin();
  stop.abort(new Error('not wanted'));
  await assert.rejects(waiting, /not wanted/);
  finish(bodies[0]!);
  await running[0];
  await opened(3);
  for (const body of bodies.slice(1)) finish(body);
  await Promise.all([...running, next]);
});

test('a replica is brought up to date while two volumes move, and two others are copied whole', async (t) => {
  const { begin, bodies, opened, finish } = copying(t);
  const long = [begin(), begin(), ...[1, 2, 3].map(() => begin({ replica: true, whole: true }))];
  await opened(4);
  const round = begin({ replica: true });
  await opened(5);
  finish(bodies[4]!);
  await round;
  for (const body of bodies.slice(0, 4)) finish(body);
  await opened(6);
  finish(bodies[5]!);
  await Promise.all(long);
});

test('a source that gives less than is worth a turn loses it', async (t) => {
  const { begin, bodies, opened, taken, pass } = copying(t);
  const slow = begin();
  await opened(1);
  bodies[0]!.write(Buffer.from('a'));
  await taken(1);
  pass(60_000);
  bodies[0]!.write(Buffer.from('b'));
  await assert.rejects(slow, { code: 'layer_unreachable', message: /2 bytes in 60 s/ });
  assert.equal(bodies[0]!.destroyed, true);
});
