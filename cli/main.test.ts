/** The command line from outside: exit codes and what is said. None of these needs root or a cloud. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../test/support/until.ts';
import { commandNames } from './command.ts';
import { prettyLine } from './logs.ts';
import { tryRun } from './run.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const data = mkdtempSync(join(tmpdir(), 'bothy-main-'));
after(() => rmSync(data, { recursive: true, force: true }));
const bothy = (...args: string[]) => tryRun(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args]);

test('every command explains itself', async () => {
  const answers = await Promise.all(commandNames.map((name) => bothy(name, '--help')));
  for (const [index, { code, stdout }] of answers.entries()) {
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^Usage: bothy ${commandNames[index]}`));
    assert.match(stdout, /--help/);
  }
  const overview = await bothy('--help');
  for (const name of commandNames) assert.match(overview.stdout, new RegExp(`^ {2}${name} `, 'm'));
});

test('what is wrong on the command line ends with 2 and names the right thing', async () => {
  const [command, option, positional, twice, none] = await Promise.all([
    bothy('stauts'),
    bothy('down', '--prge'),
    bothy('up', 'now'),
    bothy('status', '--data', data, '--json', '--data', main),
    bothy(),
  ]);
  assert.deepEqual([command.code, option.code, positional.code, twice.code, none.code], [2, 2, 2, 2, 2]);
  assert.match(twice.stderr, /--data is given twice/);
  assert.match(command.stderr, /unknown command 'stauts'; did you mean 'status'/);
  assert.match(option.stderr, /unknown option '--prge'; did you mean '--purge'/);
  assert.match(positional.stderr, /does not take 'now'/);
  assert.match(none.stderr, /Start here/);
});

test('status of a cloud that is down ends with 1 and says how to start it', async () => {
  const { code, stdout } = await bothy('status', '--data', data);
  assert.equal(code, 1);
  assert.match(stdout, /down/);
  assert.match(stdout, /bothy up/);
});

test('a reader that goes ends no command in a stack', async () => {
  const piped = '"$0" --disable-warning=ExperimentalWarning "$1" status --data "$2" | true; echo $PIPESTATUS';
  const shell = ['-c', piped];
  const { stdout, stderr } = await tryRun('bash', [...shell, process.execPath, main, data]);
  assert.deepEqual([stdout.trim(), stderr], ['1', '']);
});

test("the logs of one of several processes of a kind are found by its name in 'bothy status'", async () => {
  const cloud = mkdtempSync(join(tmpdir(), 'bothy-logs-'));
  after(() => rmSync(cloud, { recursive: true, force: true }));
  mkdirSync(join(cloud, 'log'));
  writeFileSync(join(cloud, 'log/resolver.log'), 'started\n');
  const { code, stdout } = await bothy('logs', 'resolver-uplink', '--data', cloud);
  assert.deepEqual([code, stdout.trim()], [0, 'started']);
  assert.equal((await bothy('logs', 'resolve', '--data', cloud)).code, 1);
});

test('logs of a cloud that was never started say so', async () => {
  const { code, stderr } = await bothy('logs', '--data', data);
  assert.equal(code, 1);
  assert.match(stderr, /no logs in/);
});

test('a command about a cloud that was never started ends in a sentence, not in a stack', async () => {
  const root = process.getuid?.() === 0;
  const [list, discard, down] = await Promise.all([
    bothy('recover', '--list', '--data', data),
    bothy('recover', '--discard', 'all', '--data', data),
    bothy('down', '--data', data),
  ]);
  assert.deepEqual([list.code, discard.code, down.code], [1, 1, root ? 0 : 1]);
  for (const { stdout, stderr } of [list, discard, down]) {
    assert.doesNotMatch(stderr, /\n\s+at /);
    assert.match(stdout + stderr, root ? new RegExp(`[Tt]here is no cloud in ${data}`) : /needs root/);
  }
});

test('a data directory that cannot be one is named with the right cure', async () => {
  const [none, file, before] = await Promise.all([
    bothy('status', '--data', ''),
    bothy('status', '--data', main),
    bothy('--data', data, 'status'),
  ]);
  assert.deepEqual([none.code, file.code, before.code], [1, 1, 2]);
  assert.match(none.stderr, /--data names no directory/);
  assert.match(file.stderr, /cannot read .*: ENOTDIR: not a directory\n {2}→ name a directory/);
  assert.match(before.stderr, /'--data' before the command; options follow it/);
});

test('a test run that is signalled alone ends its suite first and then by the signal', async () => {
  const child = spawn(process.execPath, [main, 'test', 'fast', '--no-install'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  let suite: number | undefined;
  try {
    await until('the suite', () => {
      suite = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')) || undefined;
      return suite !== undefined && said.includes('== fast ==');
    });
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [null, 'SIGTERM']);
    await until('its end', () => !existsSync(`/proc/${suite}`), { timeoutMs: 2000 });
    assert.match(said, /FAILED/);
  } finally {
    if (suite && existsSync(`/proc/${suite}`)) process.kill(suite, 'SIGKILL');
  }
});

test('a log line of a tenant’s text steers no terminal', () => {
  const name = '\u001b[2J\u009b2J小屋\n12:00:00.000 info all is well';
  const line = prettyLine(JSON.stringify({ level: 30, time: 0, msg: 'made', name }));
  assert.equal(line, '00:00:00.000 info  made name=\\u001b[2J\\u009b2J小屋\\u000a12:00:00.000 info all is well');
});
