import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import type { StoredPlace } from '../../contract/host/index.ts';
import { recordBytes } from '../../protocols/blobs/index.ts';
import { bytesOf, openStore, temporaryDirectory, wholeOf, writeLarge, writeSmall } from './testing.ts';

interface Acknowledged {
  place: StoredPlace;
  sha256: string;
}

/** What the process was answered for before it ended. @param enough called with each; true: it is killed now */
async function crash(
  args: readonly string[],
  enough: (count: number) => boolean = () => false,
): Promise<Acknowledged[]> {
  const script = new URL('./crash-child.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const told: Acknowledged[] = [];
  for await (const line of createInterface(child.stdout)) {
    told.push(JSON.parse(line) as Acknowledged);
    if (enough(told.length)) child.kill('SIGKILL');
  }
  const [, signal] = await ended;
  assert.equal(signal, 'SIGKILL');
  return told;
}

/** All that was answered for is there, byte for byte; what the scrub finds is none of it; and the store goes on. */
async function verify(t: TestContext, directory: string, told: readonly Acknowledged[]): Promise<void> {
  const store = await openStore(t, directory);
  const read = (place: StoredPlace) =>
    place.file.endsWith('.pack')
      ? store.readPacked('default', place)
      : store.readFile('default', place).then((bytes) => wholeOf(bytes));
  for (const { place, sha256 } of told)
    assert.equal(
      createHash('sha256')
        .update(await read(place))
        .digest('hex'),
      sha256,
    );
  await store.scrub('default');
  for (const { intent, file, offset, length } of store.faults.of('default')) {
    const touched = told.filter(({ place }) => {
      if (place.intent !== intent || place.file !== file) return false;
      return place.offset < offset + length && offset < place.offset + recordBytes(place.length);
    });
    assert.deepEqual(touched, []);
  }
  const intent = told[0]?.place.intent;
  if (!intent) return;
  const [small] = await writeSmall(store, intent, [bytesOf(100)]);
  assert.deepEqual(await read(small!.place), small!.data);
  const large = await writeLarge(store, intent, bytesOf(300_000));
  assert.ok((await read(large.place)).equals(large.data));
  await store.close();
}

for (const step of ['records written', 'pack named', 'blob taken in', 'blob written', 'blob synced', 'blob named']) {
  test(`a process that is killed when "${step}" has lost nothing that it answered for`, async (t) => {
    for (const times of ['1', '7']) {
      const directory = temporaryDirectory(t);
      await verify(t, directory, await crash([directory, step, times]));
    }
  });
}

test('a process that is killed at any moment, again and again, has lost nothing that it answered for', async (t) => {
  const directory = temporaryDirectory(t);
  const told: Acknowledged[] = [];
  for (const count of [1, 3, 20, 57, 130]) told.push(...(await crash([directory], (length) => length >= count)));
  await verify(t, directory, told);
});
