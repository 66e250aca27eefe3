/** The real watchdog over real processes: what it does when the lease ends, with the process that told it gone or frozen. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newId, type ServerId } from '../../contract/ids.ts';
import { until } from '../../test/support/until.ts';
import { bootTimeMs } from './clock.ts';
import { stopWatchdog, WatchdogGuard } from './guard.ts';

async function guardIn(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-lease-'));
  const guard = new WatchdogGuard({ runDirectory: directory });
  t.after(async () => {
    await stopWatchdog(directory);
    rmSync(directory, { recursive: true });
  });
  return { guard, directory };
}

async function guest(t: TestContext): Promise<ChildProcess & { pid: number }> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  return child as ChildProcess & { pid: number };
}

const inFuture = 600_000;

test('a guest stands still or ends with the lease, and others run on', async (t) => {
  const { guard } = await guardIn(t);
  const [paused, stopped, free] = [await guest(t), await guest(t), await guest(t)];
  const [first, second] = [newId<ServerId>(), newId<ServerId>()];
  const gone = once(stopped, 'exit');
  guard.extended(bootTimeMs() + inFuture);
  await Promise.all([guard.guard(first, paused.pid, 'pause'), guard.guard(second, stopped.pid, 'stop')]);
  assert.deepEqual([guard.guarded(first, paused.pid), guard.guarded(second, stopped.pid)], ['pause', 'stop']);
  assert.equal(guard.guarded(first, free.pid), undefined, 'another process');
  assert.equal(guard.held(paused.pid), false);
  guard.extended(bootTimeMs());
  await until('the guest to stand still', () => guard.held(paused.pid));
  assert.deepEqual(await gone, [null, 'SIGKILL']);
  assert.deepEqual([guard.ended(first), guard.ended(second)], [false, true]);
  assert.equal(guard.held(free.pid), false);
  guard.extended(bootTimeMs() + inFuture);
  guard.release(paused.pid);
  await until('the guest to go on', () => !guard.held(paused.pid));
});

test('who let it go on under a lease that has ended does not succeed, until it is guarded no more', async (t) => {
  const { guard } = await guardIn(t);
  const child = await guest(t);
  const id = newId<ServerId>();
  await guard.guard(id, child.pid, 'pause');
  await until('a lease that nobody knows of to have ended', () => guard.held(child.pid));
  guard.release(child.pid);
  await until('the watchdog to look again', () => guard.held(child.pid));
  guard.unguard(id);
  assert.equal(guard.guarded(id, child.pid), undefined);
  // The watchdog may be in the middle of a look.
  await until('it to be free', () => {
    if (guard.held(child.pid)) guard.release(child.pid);
    return !guard.held(child.pid);
  });
});

test('a watchdog that was killed is started again by whoever needs it, and is not thought to be there meanwhile', async (t) => {
  const { guard, directory } = await guardIn(t);
  const child = await guest(t);
  const id = newId<ServerId>();
  guard.extended(bootTimeMs() + inFuture);
  await guard.guard(id, child.pid, 'pause');
  const pid = Number(readFileSync(join(directory, 'lease', 'watchdog.pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  await until('it to be missed', () => guard.guarded(id, child.pid) === undefined);
  await guard.guard(id, child.pid, 'pause');
  assert.equal(guard.guarded(id, child.pid), 'pause');
});

test('a guest whose end cannot be noted, as on a full disk, ends all the same', async (t) => {
  const { guard, directory } = await guardIn(t);
  const child = await guest(t);
  const id = newId<ServerId>();
  const gone = once(child, 'exit');
  guard.extended(bootTimeMs() + inFuture);
  await guard.guard(id, child.pid, 'stop');
  // As little as a full disk does it take the note.
  mkdirSync(join(directory, 'lease', 'ended', id), { recursive: true });
  guard.extended(bootTimeMs());
  assert.deepEqual(await Promise.race([gone, once(AbortSignal.timeout(10_000), 'abort').then(() => 'it runs on')]), [
    null,
    'SIGKILL',
  ]);
});
