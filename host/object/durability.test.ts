/** What is on the disk before anybody is told, by the calls that are made. */
import assert from 'node:assert/strict';
import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesOf, newIntent, openStore, temporaryDirectory, writeLarge, writeSmall } from './testing.ts';

/** What was asked of open files from now on, `call name`; each once it is done. */
async function watchCalls(t: TestContext): Promise<string[]> {
  const calls: string[] = [];
  const some = await open('/dev/null');
  const prototype = Object.getPrototypeOf(some) as FileHandle;
  await some.close();
  for (const name of ['write', 'datasync', 'sync'] as const) {
    const real = prototype[name] as (...args: unknown[]) => Promise<unknown>;
    t.mock.method(prototype, name, async function (this: FileHandle, ...args: unknown[]) {
      const of = basename(readlinkSync(`/proc/self/fd/${this.fd}`));
      const answer = await real.apply(this, args);
      calls.push(`${name} ${of}`);
      return answer;
    });
  }
  return calls;
}

test('a large blob is synced after its last write, and its name and that of its intent, before it is answered for', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const calls = await watchCalls(t);
  const intent = newIntent();
  const { place } = await writeLarge(store, intent, bytesOf(1_500_000));
  const answered = [...calls];
  assert.ok(answered.lastIndexOf(`datasync ${place.blob}`) > answered.lastIndexOf(`write ${place.blob}`));
  assert.ok(answered.includes(`sync ${intent}`));
  assert.ok(answered.includes('sync intents'));
});

test('small blobs go into a pack whose writes are on the disk when they return, and whose name is', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const calls = await watchCalls(t);
  const intent = newIntent();
  const { place } = (await writeSmall(store, intent, [bytesOf(10)]))[0]!;
  assert.deepEqual(new Set(calls), new Set([`write ${place.file}`, `sync ${intent}`, 'sync intents']));
  const fd = readdirSync('/proc/self/fd').find((each) => linkOf(each).endsWith(`/${place.file}`))!;
  const flags = Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8);
  assert.notEqual(flags & constants.O_DSYNC, 0);
});

test('a directory that a process before made is synced again by the next, which does not know whether that was', async (t) => {
  const directory = temporaryDirectory(t);
  const intent = newIntent();
  const first = await openStore(t, directory);
  await writeSmall(first, intent, [bytesOf(1)]);
  await first.close();
  const second = await openStore(t, directory);
  const calls = await watchCalls(t);
  await writeSmall(second, intent, [bytesOf(1)]);
  assert.ok(calls.includes('sync intents'));
});

test('what is removed is gone after a power failure too', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const intent = newIntent();
  const { place } = await writeLarge(store, intent, bytesOf(10));
  const calls = await watchCalls(t);
  await store.removeFile('default', intent, place.file);
  assert.deepEqual(calls, [`sync ${intent}`]);
});

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
