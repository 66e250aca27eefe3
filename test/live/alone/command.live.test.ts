/** The `bothy` command as people meet it, on a cloud of its own: start, start again, kill, adopt, keep, stop, purge. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { removeCloud, reserveCloud } from '../../../cli/cloud/throw-away.ts';
import { cloudPaths } from '../../../cli/settings.ts';
import { bothy, mustRun, notLive, type Output, run, until } from '../../support/live-cloud.ts';

interface Process {
  name: string;
  pid: number | null;
  state: string;
  restarts: number;
}

describe('the bothy command', { skip: notLive, concurrency: 1 }, () => {
  let data: string;

  before(async () => {
    data = await reserveCloud();
  });
  after(() => removeCloud(data));

  const command = (...args: string[]): Promise<Output> =>
    run(bothy, [...args, '--data', data], { deadlineMs: 300_000 });
  const must = (...args: string[]): Promise<string> =>
    mustRun(bothy, [...args, '--data', data], { deadlineMs: 300_000 });
  const processes = async (): Promise<Process[]> => JSON.parse((await command('status', '--json')).stdout).processes;
  const pidOf = async (name: string) => (await processes()).find((item) => item.name === name)?.pid ?? undefined;

  test('starts a cloud, and a second start says that it runs already', { timeout: 300_000 }, async () => {
    await must('up', '--detach');
    const again = await command('up', '--detach');
    assert.equal(again.status, 0);
    assert.match(again.stdout, /runs already/);
    const foreground = await command('up');
    assert.equal(foreground.status, 0, 'the same in the foreground: what was asked for is so');
    assert.match(foreground.stdout, /runs already/);
    const doctor = JSON.parse((await command('doctor', '--json')).stdout);
    const problems = doctor.findings.filter((finding: { status: string }) => finding.status === 'problem');
    assert.deepEqual(problems, []);
  });

  test('starts each process again at once when it is killed', { timeout: 120_000 }, async () => {
    for (const name of ['postgres', 'ovn-northd', 'ovs-vswitchd', 'host', 'control']) {
      const before = await pidOf(name);
      process.kill(before!, 'SIGKILL');
      await until(`${name} runs again`, async () => {
        const now = (await processes()).find((item) => item.name === name);
        return now?.state === 'ready' && now.pid !== before;
      });
    }
  });

  test('what a killed supervisor leaves is adopted by the next start', { timeout: 120_000 }, async () => {
    const before = (await processes()).filter((item) => item.name !== 'supervisor');
    process.kill((await pidOf('supervisor'))!, 'SIGKILL');
    await until(
      'status knows',
      async () => JSON.parse((await command('status', '--json')).stdout).state === 'unsupervised',
    );
    await must('up', '--detach');
    const now = await processes();
    for (const { name, pid } of before) assert.equal(now.find((item) => item.name === name)?.pid, pid, name);
  });

  test('two starts at the same moment make one cloud', { timeout: 120_000 }, async () => {
    await must('down');
    const both = await Promise.all([command('up', '--detach'), command('up', '--detach')]);
    assert.deepEqual(
      both.map(({ status }) => status),
      [0, 0],
      both.map(({ stderr }) => stderr).join('\n'),
    );
    assert.equal(new Set((await processes()).map(({ name }) => name)).size, (await processes()).length);
  });

  test('a purge leaves nothing', { timeout: 120_000 }, async () => {
    const { tag, run: runDirectory } = cloudPaths(data);
    await must('down', '--purge', '--yes');
    assert.equal(existsSync(data), false);
    assert.equal(existsSync(runDirectory), false);
    assert.deepEqual(
      readdirSync('/sys/class/net').filter((name) => name.includes(tag)),
      [],
    );
    const tables = await mustRun('nft', ['list', 'tables']);
    assert.equal(tables.includes(tag), false, tables);
    const left = await run('pgrep', ['-fa', data]);
    assert.equal(left.stdout, '');
  });
});
