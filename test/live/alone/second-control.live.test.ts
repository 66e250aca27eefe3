/**
 * A machine that has joined runs control, too: `bothy controls --give` and `--take`, on a PostgreSQL of two members that both machines reach. The machines are
 * network namespaces. The first one's control is frozen: hosts and clients go on with the second.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cloudPaths } from '../../../cli/settings.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { bothy, environmentOf, notLive, type Output, until } from '../../support/live-cloud.ts';
import { OpenStack } from '../../support/openstack.ts';
import { ReplicatedPostgres } from '../../support/replicated-postgres.ts';

describe('control on a second machine', { skip: notLive, concurrency: 1 }, () => {
  let postgres: ReplicatedPostgres | undefined;
  let world: JoinedMachines | undefined;
  let first: string;
  let second: string;
  let name: string;
  let data: string;
  let joined: string;
  let url: string;
  let secondUrl: string;

  const machineOf = (namespace: string) => world!.machines.find((each) => each.namespace === namespace)!;
  const inside = (namespace: string, args: string[]): Promise<Output> => machineOf(namespace).run(...args);
  const must = (namespace: string, ...args: string[]) => machineOf(namespace).must(...args);
  const on = { first: () => [first, data] as const, second: () => [second, joined] as const };
  const controls = async (which: keyof typeof on) => {
    const [machine, directory] = on[which]();
    return must(machine, bothy, 'controls', '--data', directory);
  };
  const streamOf = async (which: keyof typeof on): Promise<string> => {
    const [machine, directory] = on[which]();
    const socket = join(cloudPaths(directory).run, 'host.sock');
    const said = await inside(machine, ['curl', '-s', '--unix-socket', socket, 'http://host/v1/health']);
    const { control } = JSON.parse(said.stdout);
    return control.state === 'open' ? control.url : '';
  };
  const restart = async (which: keyof typeof on) => {
    const [machine, directory] = on[which]();
    await must(machine, bothy, 'down', '--keep-guests', '--data', directory);
    await must(machine, bothy, 'up', '--detach', '--data', directory);
  };

  before(
    async () => {
      world = await JoinedMachines.start(2, async (machine): Promise<Record<string, string>> => {
        if (machine !== 0) return {};
        postgres = await ReplicatedPostgres.start({ synchronous: true, address: '10.8.0.254' });
        return { database_url: postgres.url };
      });
      const [one, two] = world.machines as [JoinedMachine, JoinedMachine];
      [first, data] = [one.namespace, one.data];
      [second, joined, name] = [two.namespace, two.data, two.name];
      url = new URL(world.cloud.adminEnvironment.OS_AUTH_URL!).origin;
      secondUrl = `https://10.8.0.2:${/^port = (\d+)$/m.exec(readFileSync(join(joined, 'bothy.conf'), 'utf8'))![1]}`;
      await world.join(two);
    },
    { timeout: 400_000 },
  );
  after(
    async () => {
      await world?.[Symbol.asyncDispose]();
      postgres?.[Symbol.dispose]();
    },
    { timeout: 180_000 },
  );

  test('what is given is for one machine of the cloud, and for no other', { timeout: 120_000 }, async () => {
    const give = (host: string) => inside(first, [bothy, 'controls', '--give', host, '--data', data]);
    assert.match(
      (await give('nobody')).stderr,
      new RegExp(`no host of this cloud is called nobody[^]*others are: ${name}`),
    );
    const kit = await give(name);
    assert.equal(kit.status, 0, kit.stderr);
    const file = join(joined, '..', 'kit');
    const take = (text: string, machine: string, directory: string) => {
      writeFileSync(file, text, { mode: 0o600 });
      return inside(machine, [bothy, 'controls', '--take', file, '--data', directory]);
    };
    assert.match((await take('{}', second, joined)).stderr, /that is no kit of control/);
    const foreign = kit.stdout.replace(/"hostId":"[^"]+"/, '"hostId":"01900000-0000-7000-8000-000000000000"');
    assert.match((await take(foreign, second, joined)).stderr, /made for another machine/);
    assert.match((await take(kit.stdout, first, data)).stderr, /control runs here already/);
    assert.ok(!existsSync(join(joined, 'secrets/control-kit.json')));
    const taken = await take(kit.stdout, second, joined);
    assert.equal(taken.status, 0, taken.stderr);
  });

  test('it serves the same cloud; hosts are told of it, status and doctor show it', { timeout: 240_000 }, async () => {
    await restart('second');
    await until('both to live', async () => (await controls('second')).match(/lives/g)?.length === 2, 60_000);
    assert.match(await controls('first'), new RegExp(secondUrl));
    const { processes } = JSON.parse(await must(second, bothy, 'status', '--json', '--data', joined));
    assert.ok(
      processes.some((each: { name: string; state: string }) => each.name === 'control' && each.state === 'ready'),
    );
    for (const which of ['first', 'second'] as const) {
      const [, directory] = on[which]();
      const told = () => JSON.parse(readFileSync(join(directory, 'host/controls.json'), 'utf8')).urls as string[];
      await until(`the host of the ${which}`, async () => told().includes(secondUrl) && told().includes(url), 30_000);
    }
    const { findings } = JSON.parse((await inside(second, [bothy, 'doctor', '--json', '--data', joined])).stdout);
    const problems = findings.filter((each: { status: string }) => each.status === 'problem');
    assert.deepEqual(problems, []);
    assert.ok(findings.some(({ check }: { check: string }) => /^control control on /.test(check)));
  });

  test("while the first one's control is frozen hosts and clients go on with it, and after a fail-over of the database too", {
    timeout: 300_000,
  }, async (t) => {
    const { processes } = JSON.parse(await must(first, bothy, 'status', '--json', '--data', data));
    const { pid } = processes.find((each: { name: string }) => each.name === 'control');
    process.kill(pid, 'SIGSTOP');
    try {
      const frozen = performance.now();
      for (const which of ['first', 'second'] as const)
        await until('the stream', async () => (await streamOf(which)).includes(new URL(secondUrl).host), 60_000, 200);
      t.diagnostic(`hosts are with the second ${Math.round(performance.now() - frozen)} ms after the first froze`);
      // From where both are reached: this process is at their switch.
      const client = new OpenStack({ authUrl: `${secondUrl}/identity/v3`, caFile: join(data, 'ca.pem') });
      const { OS_USERNAME: user, OS_PASSWORD: password } = environmentOf(join(data, 'openrc'));
      await client.login({ name: user!, password: password!, project: 'admin' });
      const volume = async (size: number) => {
        const answer = await client.raw('POST', `${secondUrl}/volume/v3/${client.projectId}/volumes`, {
          volume: { size },
        });
        assert.equal(answer.status, 202, JSON.stringify(answer.body));
        const at = `${secondUrl}/volume/v3/${client.projectId}/volumes/${answer.body.volume.id}`;
        const status = async () => (await client.raw('GET', at)).body?.volume?.status;
        await until('the volume', async () => (await status()) === 'available', 60_000, 200);
        await client.raw('DELETE', at);
      };
      await volume(1);
      postgres!.kill('one');
      await postgres!.promote();
      await until(
        'the API',
        async () => (await client.raw('GET', `${secondUrl}/compute/v2.1/servers`)).status === 200,
        60_000,
        200,
      );
      await volume(1);
      client.close();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until('both to live', async () => (await controls('second')).match(/lives/g)?.length === 2, 60_000);
  });

  test('it is dropped again', { timeout: 180_000 }, async () => {
    await must(second, bothy, 'controls', '--drop', '--data', joined);
    await restart('second');
    await until('one to be left', async () => (await controls('first')).match(/lives/g)?.length === 1, 60_000);
    const { processes } = JSON.parse(await must(second, bothy, 'status', '--json', '--data', joined));
    assert.ok(!processes.some((each: { name: string }) => each.name === 'control'));
  });
});
