import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Engine } from './engine.ts';
import { ovsDaemon } from './ovs-daemon.ts';
import { ensureEngine, findEngine, stopEngine } from './process.ts';
import { commandLineOf } from './process-identity.ts';
import { waitUntil } from './wait.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bothy-engine-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function sleeper(changes: Partial<Engine> = {}): Engine {
  const mark = `--mark=${directory}`;
  return {
    name: 'sleeper',
    command: process.execPath,
    args: ['-e', 'setInterval(() => {}, 1000)', '--', mark],
    env: {},
    after: [],
    restartAlso: [],
    outlives: 'cloud',
    pidFile: join(directory, 'pid'),
    pidFileWriter: 'supervisor',
    mark,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 2000,
    prepare: async () => {},
    ready: async () => {},
    ...changes,
  };
}

test('an engine that runs is adopted, not started twice, and stopped once', async () => {
  const engine = sleeper();
  const options = { logFile: join(directory, 'log') };
  const pid = await ensureEngine(engine, options);
  assert.equal(await ensureEngine(engine, options), pid);
  assert.equal(findEngine(engine), pid);
  assert.equal(await stopEngine(engine), true);
  assert.equal(await stopEngine(engine), false);
});

test('a pid that now belongs to another process is not taken for the engine', () => {
  const engine = sleeper();
  writeFileSync(engine.pidFile, `${process.pid}\n`);
  assert.equal(findEngine(engine), undefined);
  writeFileSync(engine.pidFile, 'nonsense\n');
  assert.equal(findEngine(engine), undefined);
});

test('a process of another user, or of another program, is not taken for the engine whatever it says of itself', async (t) => {
  const engine = sleeper();
  const root = process.getuid!() === 0;
  const argv = ['-e', '$| = 1; print "up"; sleep 60', '--', engine.mark];
  const nobody = root ? { uid: 65_534, gid: 65_534 } : {};
  const imitator = spawn('perl', argv, { cwd: '/', ...nobody });
  t.after(() => imitator.kill('SIGKILL'));
  await new Promise((resolve) => imitator.stdout.once('data', resolve));
  writeFileSync(engine.pidFile, `${imitator.pid}\n`);
  assert.equal(findEngine(engine), undefined, 'another program');
  assert.equal(await stopEngine(engine, imitator.pid), false, 'and it is not ended');
  assert.equal(findEngine({ ...engine, programs: ['perl'] }), root ? undefined : imitator.pid, 'another user');
  if (root) assert.equal(findEngine({ ...engine, programs: ['perl'], user: 'nobody' }), imitator.pid);
});

test('an engine that dies before it is ready is reported with its exit', async () => {
  const engine = sleeper({
    args: ['-e', 'process.exit(7)'],
    ready: (signal) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
  });
  await assert.rejects(ensureEngine(engine, { logFile: join(directory, 'log') }), /sleeper ended with exit code 7/);
});

test('an engine whose pid can not be noted, as on a full disk, does not run where nobody finds it', async () => {
  // As little as a full disk does it take the pid.
  const engine = sleeper({ pidFile: join(directory, 'nowhere', 'pid') });
  await assert.rejects(ensureEngine(engine, { logFile: join(directory, 'log') }), { code: 'ENOENT' });
  const runs = () =>
    readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && commandLineOf(Number(pid)).includes(engine.mark));
  await waitUntil('it to be gone', () => !runs(), { timeoutMs: 5000 });
});

test('an engine runs also where its log can not be written', async (t) => {
  const engine = sleeper();
  writeFileSync(join(directory, 'file'), '');
  const pid = await ensureEngine(engine, { logFile: join(directory, 'file', 'log') });
  t.after(() => stopEngine(engine));
  assert.equal(findEngine(engine), pid);
});

test('an engine that does not heed the signal is killed', async () => {
  const engine = sleeper({
    args: [
      '-e',
      "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)",
      '--',
      `--mark=${directory}`,
    ],
    stopTimeoutMs: 200,
  });
  await ensureEngine(engine, { logFile: join(directory, 'log') });
  assert.equal(await stopEngine(engine), true);
  assert.equal(findEngine(engine), undefined);
});

test('a run directory too long for unix sockets is refused', () => {
  const runDirectory = `/tmp/${'x'.repeat(80)}`;
  const options = { name: 'x', command: 'x', args: [], logDirectory: '/tmp', outlives: 'cloud' as const };
  assert.throws(() => ovsDaemon({ ...options, runDirectory, ready: async () => {} }), /too long for unix sockets/);
});
