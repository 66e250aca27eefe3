/** The supervisor over real processes that do nothing: order, restart, adoption, stop. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Engine } from '../../engine/engine.ts';
import { findEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { patienceMs } from '../../test/support/until.ts';
import { boundLog, lastLines } from './log-file.ts';
import { inStartOrder, Supervisor, stopOrphans } from './supervisor.ts';

let directory: string;
let log: { message: string; engine: unknown }[];
let engines: Engine[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bothy-supervisor-'));
  log = [];
  engines = [];
});
afterEach(async () => {
  await stopOrphans(engines, { keepGuests: false });
  rmSync(directory, { recursive: true, force: true });
});

/** A process that touches `<name>.up` and then sleeps; `script` comes before. */
function engine(name: string, options: Partial<Engine> & { script?: string } = {}): Engine {
  const up = join(directory, `${name}.up`);
  const { script = '', ...rest } = options;
  const made: Engine = {
    name,
    command: process.execPath,
    args: [
      '-e',
      `${script};require('fs').writeFileSync(${JSON.stringify(up)}, String(process.pid));setInterval(() => {}, 1e6)`,
      `mark-${directory}-${name}`,
    ],
    env: {},
    after: [],
    restartAlso: [],
    outlives: 'cloud',
    pidFile: join(directory, `${name}.pid`),
    pidFileWriter: 'supervisor',
    mark: `mark-${directory}-${name}`,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 2_000,
    async prepare() {
      rmSync(up, { force: true });
    },
    ready: (signal) =>
      waitUntil(`${name} up`, () => existsSync(up), { timeoutMs: patienceMs, ...(signal ? { signal } : {}) }),
    ...rest,
  };
  engines.push(made);
  return made;
}

const supervise = () =>
  new Supervisor(engines, {
    logDirectory: directory,
    log: (_level, message, fields) => log.push({ message, engine: fields.engine }),
  });
const allReady = (supervisor: Supervisor) => () => supervisor.status().every(({ state }) => state === 'ready');
const ready = (supervisor: Supervisor) => waitUntil('all ready', allReady(supervisor), { timeoutMs: patienceMs });
const pidOf = (supervisor: Supervisor, name: string) => supervisor.status().find((item) => item.name === name)?.pid;

test('engines start after those they need and stop before them', async () => {
  engine('api', { after: ['database', 'network'] });
  engine('network', { after: ['database'] });
  engine('database');
  const supervisor = supervise();
  supervisor.start();
  await ready(supervisor);
  const readyOrder = log.filter(({ message }) => message === 'process ready').map((entry) => entry.engine);
  assert.deepEqual(readyOrder, ['database', 'network', 'api']);
  await supervisor.stop({ keepGuests: false });
  assert.deepEqual(engines.map(findEngine), [undefined, undefined, undefined]);
});

test('engines that wait for each other, or for nobody, are refused', () => {
  engine('a', { after: ['b'] });
  engine('b', { after: ['a'] });
  assert.throws(() => inStartOrder(engines), /wait for each other/);
  assert.throws(() => inStartOrder([engine('c', { after: ['nobody'] })]), /does not exist/);
  engines = [];
});

test('a killed engine is started again at once, and with it those that must follow', async () => {
  engine('switch', { restartAlso: ['controller'] });
  engine('controller', { after: ['switch'] });
  const supervisor = supervise();
  supervisor.start();
  await ready(supervisor);
  const before = [pidOf(supervisor, 'switch'), pidOf(supervisor, 'controller')];
  const killedAt = performance.now();
  process.kill(before[0]!, 'SIGKILL');
  await waitUntil(
    'both anew',
    () => pidOf(supervisor, 'switch') !== before[0] && pidOf(supervisor, 'controller') !== before[1],
    {
      timeoutMs: patienceMs,
    },
  );
  await ready(supervisor);
  assert.ok(performance.now() - killedAt < 20_000);
  await supervisor.stop({ keepGuests: false });
});

test('an engine that does not end when it is asked to start anew stays, and the supervisor goes on', async () => {
  const made = engine('stuck');
  const supervisor = supervise();
  supervisor.start();
  await ready(supervisor);
  const pid = pidOf(supervisor, 'stuck');
  // As one that waits for a disk: no signal ends it.
  made.stopSignal = 'SIGNONE' as NodeJS.Signals;
  assert.equal(supervisor.restart('stuck'), true);
  await waitUntil('it to be told', () => log.some(({ message }) => message === 'process does not end'), {
    timeoutMs: patienceMs,
  });
  assert.equal(pidOf(supervisor, 'stuck'), pid);
  made.stopSignal = 'SIGTERM';
  await supervisor.stop({ keepGuests: false });
});

test('what outlives a supervisor is adopted by the next, with its pid', async () => {
  engine('guest-network', { outlives: 'guests' });
  engine('cloud');
  const first = supervise();
  first.start();
  await ready(first);
  const pid = pidOf(first, 'guest-network');
  await first.stop({ keepGuests: true });
  assert.equal(findEngine(engines[0]!), pid);
  assert.equal(findEngine(engines[1]!), undefined);
  const second = supervise();
  second.start();
  await ready(second);
  assert.equal(pidOf(second, 'guest-network'), pid);
  assert.equal(second.status()[0]!.adopted, true);
  process.kill(pid!, 'SIGKILL');
  await waitUntil('started anew', () => pidOf(second, 'guest-network') !== pid, { timeoutMs: patienceMs });
  await ready(second);
  await second.stop({ keepGuests: false });
});

test('a pid file that names a process of somebody else adopts and kills nothing', async () => {
  const made = engine('careful');
  writeFileSync(made.pidFile, `${process.pid}\n`);
  assert.deepEqual(await stopOrphans(engines, { keepGuests: false }), []);
  const supervisor = supervise();
  supervisor.start();
  await ready(supervisor);
  assert.notEqual(pidOf(supervisor, 'careful'), process.pid);
  await supervisor.stop({ keepGuests: false });
});

test('an engine that fails again and again is waited for longer each time, and says why', async () => {
  engine('broken', { script: "console.error('no such luck'); process.exit(3)" });
  const supervisor = supervise();
  supervisor.start();
  await waitUntil('three failures', () => (supervisor.status()[0]?.failures ?? 0) >= 3, { timeoutMs: patienceMs });
  assert.match(supervisor.status()[0]!.lastError ?? '', /exit code 3/);
  assert.match(readFileSync(join(directory, 'broken.log'), 'utf8'), /no such luck/);
  await supervisor.stop({ keepGuests: false });
});

test('a log is bounded, keeps its end aside, and follows no link', () => {
  const file = join(directory, 'x.log');
  writeFileSync(file, 'a\n'.repeat(1000));
  boundLog(file, 100);
  assert.equal(readFileSync(file, 'utf8'), '');
  assert.equal(readFileSync(`${file}.1`, 'utf8').length, 100);
  writeFileSync(file, 'one\ntwo\nthree\n');
  assert.deepEqual(lastLines(file, 2), ['two', 'three']);
});
