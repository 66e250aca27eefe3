/**
 * A shutdown of the machine is held back and heard of, by systemd's own `systemd-inhibit` and `busctl` on a D-Bus of the test's own, where fake-logind.py stands for logind. What a real
 * systemd does with its units after that is not tried: the machines of the tests have none.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inhibitDelayMs } from '../../cli/cloud/shutdown.ts';
import { ShutdownWatch } from '../../cli/supervisor/shutdown-watch.ts';
import { notLive, until } from '../support/live-cloud.ts';

const python = '/usr/bin/python3';
function missing(): string | false {
  try {
    for (const program of ['dbus-daemon', 'busctl', 'systemd-inhibit']) execFileSync('which', [program]);
    execFileSync(python, ['-c', 'import dbus, gi'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs dbus-daemon, busctl, systemd-inhibit, python3-dbus and python3-gi';
  }
}

const children = (): number[] =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');

describe('a shutdown of the machine', { skip: notLive || missing(), concurrency: 1 }, () => {
  let bus: ChildProcess;
  let logind: ChildProcess;
  const said: string[] = [];
  let env: Record<string, string>;
  before(async () => {
    bus = spawn('dbus-daemon', ['--session', '--nofork', '--print-address'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const address = await new Promise<string>((resolve) => {
      createInterface({ input: bus.stdout! }).once('line', resolve);
    });
    env = { ...(process.env as Record<string, string>), DBUS_SYSTEM_BUS_ADDRESS: address };
    const script = fileURLToPath(new URL('fake-logind.py', import.meta.url));
    logind = spawn(python, [script], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: logind.stdout! }).on('line', (line) => said.push(line));
    await until('logind', async () => said.includes('ready'), 20_000);
  });
  after(() => {
    logind?.kill();
    bus?.kill();
  });

  test('is held back from the start, heard of, and let go when whoever got the lock has ended', async () => {
    let lock: Writable | undefined;
    let cancelled = 0;
    const log: string[] = [];
    const watch = new ShutdownWatch({
      ...{ env, againMs: 100, log: (_level, message) => log.push(message) },
      onShutdown: (held) => {
        lock = held;
      },
      onCancel: () => cancelled++,
    });
    watch.start();
    await until('the lock', async () => said.includes('inhibit shutdown Bothy delay'), 20_000);
    // The monitor says nothing of its beginning: the signal is sent until it is heard.
    await until('the shutdown', async () => lock !== undefined || void logind.stdin!.write('true\n'), 20_000, 200);
    logind.stdin!.write('false\n');
    await until('that it does not come', async () => cancelled === 1, 20_000);
    lock = undefined;
    logind.stdin!.write('true\n');
    await until('the next one', async () => lock !== undefined, 20_000);
    const holder = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', lock!] });
    watch.stop();
    assert.equal(await inhibitDelayMs(env), 90_000);
    assert.ok(!said.includes('released'), 'the process that it was handed to has it');
    holder.kill();
    await until('the machine to go down', async () => said.includes('released'), 20_000);
    assert.deepEqual(log, ['the machine goes down', 'the machine does not go down', 'the machine goes down']);
  });

  test('is held back again where the lock was lost', async () => {
    const locks = () => said.filter((line) => line.startsWith('inhibit')).length;
    const had = locks();
    const watch = new ShutdownWatch({ env, againMs: 50, log: () => {}, onShutdown: () => {}, onCancel: () => {} });
    watch.start();
    await until('the lock', async () => locks() === had + 1, 20_000);
    for (const pid of children()) if (commandOf(pid).startsWith('systemd-inhibit')) process.kill(pid);
    await until('another', async () => locks() === had + 2, 20_000);
    watch.stop();
    await until('both to be let go', async () => said.filter((line) => line === 'released').length >= 3, 20_000);
  });
});
