/**
 * A second machine joins a cloud by `bothy join`, with a guest on each and Geneve between them, and leaves again. The machines are network namespaces: one
 * cable for control and the southbound database (this process is at its switch), one for tunnels. What does not fit is refused, and both sides are as before.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { reserveCloud } from '../../../cli/cloud/throw-away.ts';
import { cloudPaths } from '../../../cli/settings.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { GuestShell } from '../../support/guest-shell.ts';
import {
  bothy,
  environmentOf,
  type LiveCloud,
  mustRun,
  notLive,
  type Output,
  run,
  until,
} from '../../support/live-cloud.ts';
import type { OpenStack } from '../../support/openstack.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

describe('a machine that joins a cloud', { skip: notLive, concurrency: 1 }, () => {
  const tag = randomBytes(2).toString('hex');
  const machines = ['one', 'two', 'three'].map((each) => `bothy-${each}-${tag}`) as [string, string, string];
  const [first, second, third] = machines;
  const outside = `b${tag}out`;
  const name = `second-${tag}`;
  let data: string;
  let joined: string;
  let url: string;
  let cloud: LiveCloud;
  let admin: OpenStack;

  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
  const inside = (machine: string, args: string[], env: Record<string, string> = {}): Promise<Output> =>
    run('nsenter', [`--net=/run/netns/${machine}`, ...args], { deadlineMs: 300_000, env: { ...process.env, ...env } });
  const must = (machine: string, ...args: string[]) =>
    mustRun('nsenter', [`--net=/run/netns/${machine}`, ...args], { deadlineMs: 300_000 });
  const token = async (...args: string[]) =>
    /--token (\S+)/.exec(await must(first, bothy, 'token', ...args, '--data', data))![1]!;
  const tryJoin = (secret: string, as = name, env: Record<string, string> = {}) =>
    inside(second, [bothy, 'join', url, '--token', secret, '--name', as, '--data', joined], env);
  const hosts = async (): Promise<string[]> =>
    (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors.map(
      (each: { hypervisor_hostname: string }) => each.hypervisor_hostname,
    );
  const chassis = async () => {
    const socket = `unix:${cloudPaths(data).run}/ovn/sb.sock`;
    const said = await must(first, 'ovn-sbctl', `--db=${socket}`, '--bare', '--columns=name', 'list', 'Chassis');
    return said.split('\n').filter(Boolean);
  };

  /** A refusal says what it is, and leaves both sides as they were. */
  async function refused(answer: Output, expected: RegExp): Promise<void> {
    assert.equal(answer.status, 1, answer.stdout + answer.stderr);
    assert.match(answer.stderr, expected);
    assert.match(answer.stderr, /→ /, 'a cure');
    assert.deepEqual(readdirSync(joined), ['bothy.conf']);
    assert.equal((await hosts()).length, 1);
  }

  before(
    async () => {
      ip('link', 'add', outside, 'type', 'bridge', 'forward_delay', '0');
      ip('addr', 'add', '10.8.0.254/24', 'dev', outside);
      ip('link', 'set', outside, 'up');
      for (const [index, machine] of machines.entries()) {
        ip('netns', 'add', machine);
        ip('link', 'add', `b${tag}m${index}`, 'type', 'veth', 'peer', 'name', 'card0', 'netns', machine);
        ip('link', 'set', `b${tag}m${index}`, 'master', outside, 'up');
        for (const device of ['lo', 'card0']) ip('-n', machine, 'link', 'set', device, 'up');
        ip('-n', machine, 'addr', 'add', `10.8.0.${index + 1}/24`, 'dev', 'card0');
        ip('-n', machine, 'route', 'add', 'default', 'via', '10.8.0.254');
      }
      ip('-n', first, 'link', 'add', 'tunnel0', 'type', 'veth', 'peer', 'name', 'tunnel0', 'netns', second);
      ip('-n', third, 'link', 'add', 'tunnel0', 'type', 'veth', 'peer', 'name', 'tunnel1');
      data = await reserveCloud(tmpdir(), { tunnels: 'tunnel0:10.9.0.1/24' });
      joined = await reserveCloud(tmpdir(), { tunnels: 'tunnel0:10.9.0.2/24' });
      await must(first, bothy, 'up', '--detach', '--data', data);
      cloud = {
        ...{ data, adminEnvironment: environmentOf(join(data, 'openrc')), caFile: join(data, 'ca.pem') },
        [Symbol.asyncDispose]: async () => {},
      };
      url = new URL(cloud.adminEnvironment.OS_AUTH_URL!).origin;
      admin = await administrator(cloud);
    },
    { timeout: 400_000 },
  );
  after(
    async () => {
      admin?.close();
      for (const [machine, directory] of [
        [second, joined],
        [first, data],
      ] as const) {
        if (!directory) continue;
        await inside(machine, [bothy, 'down', '--purge', '--yes', '--data', directory]);
        execFileSync('rm', ['-rf', join(directory, '..')]);
      }
      for (const machine of machines) ip('netns', 'del', machine);
      ip('link', 'del', outside);
    },
    { timeout: 180_000 },
  );

  test('what does not fit is refused with the cure, and both sides are as before', { timeout: 240_000 }, async () => {
    const good = await token();
    await refused(await tryJoin('bothy-join-nonsense'), /that is no token/);
    const wrong = good.slice(0, 20) + (good[20] === 'A' ? 'B' : 'A') + good.slice(21);
    await refused(await tryJoin(wrong), /none of this cloud/);
    const foreign = good.slice(0, -20) + (good.at(-20) === 'A' ? 'B' : 'A') + good.slice(-19);
    await refused(await tryJoin(foreign), /is not the cloud that made the token/);
    await refused(await tryJoin(await token('--name', 'another')), /good for a host named another only/);
    const [own] = await hosts();
    await refused(await tryJoin(good, own!), /has the name/);
    await refused(await tryJoin(good, name, { BOTHY_TUNNELS: 'nothing0:10.9.0.2/24' }), /no network card 'nothing0'/);
    // Filtered: control's call back does not come through.
    const rule = ['inet', 'filtered', 'input', 'tcp', 'dport', cloudSetting(joined, 'host_port'), 'drop'];
    await must(
      second,
      'nft',
      'add table inet filtered; add chain inet filtered input { type filter hook input priority 0; }',
    );
    await must(second, 'nft', 'add', 'rule', ...rule);
    await refused(await tryJoin(good), /control cannot reach the machine at 10\.8\.0\.2/);
    await must(second, 'nft', 'delete', 'table', 'inet', 'filtered');
    const ingress = 'type filter hook ingress device tunnel0 priority 0;';
    await must(second, 'nft', `table netdev filtered { chain input { ${ingress} udp dport 6081 drop; }; }`);
    await refused(await tryJoin(good), /no tunnel gets through between 10\.9\.0\.2 and 10\.9\.0\.1 .*UDP 6081/);
    await must(second, 'nft', 'delete', 'table', 'netdev', 'filtered');
    ip('-n', second, 'link', 'set', 'tunnel0', 'mtu', '1400');
    await refused(await tryJoin(good), /carries short tunnel frames, and none of 1500 bytes/);
    ip('-n', second, 'link', 'set', 'tunnel0', 'mtu', '1500');
    assert.doesNotMatch(ip('-n', second, 'addr', 'show', 'tunnel0'), /10\.9\.0\.2/, 'the card is as it was');
  });

  test('a join that is killed after any step goes on where it was', { timeout: 400_000 }, async () => {
    const secret = await token();
    for (const step of ['key', 'answer', 'identity', 'certificates']) {
      const died = await tryJoin(secret, name, { BOTHY_TEST_DIE_AFTER: step });
      assert.notEqual(died.status, 0, `${step}: ${died.stdout}${died.stderr}`);
    }
    const done = await tryJoin(secret);
    assert.equal(done.status, 0, done.stdout + done.stderr);
    assert.deepEqual((await hosts()).length, 2);
    assert.ok(!existsSync(join(joined, 'joining.key')));
    // Again, and all is well already.
    assert.equal((await tryJoin(secret)).status, 0);
    await until('both chassis', async () => (await chassis()).length === 2, 30_000);
    // Its token is used up, and it is no other cloud's.
    const elsewhere = await reserveCloud(tmpdir(), { tunnels: 'tunnel0:10.9.0.3/24' });
    const used = await inside(third, [bothy, 'join', url, '--token', secret, '--name', name, '--data', elsewhere]);
    assert.match(used.stderr, /the token has been used/);
    assert.deepEqual(readdirSync(elsewhere), ['bothy.conf']);
    execFileSync('rm', ['-rf', join(elsewhere, '..')]);
    const other = ['join', 'https://10.8.0.9:8443', '--token', secret];
    assert.match((await inside(second, [bothy, ...other, '--data', joined])).stderr, /is a host of the cloud at/);
    assert.match((await inside(first, [bothy, ...other, '--data', data])).stderr, /this machine is its first host/);
    assert.equal((await hosts()).length, 2);
  });

  test('status and doctor of the machine know what it is', { timeout: 120_000 }, async () => {
    const status = JSON.parse(await must(second, bothy, 'status', '--json', '--data', joined));
    assert.deepEqual([status.state, status.joined, status.publicUrl], ['up', true, url]);
    assert.ok(!status.processes.some((each: { name: string }) => /^(postgres|control|ovn-northd)$/.test(each.name)));
    const { findings } = JSON.parse((await inside(second, [bothy, 'doctor', '--json', '--data', joined])).stdout);
    type Finding = { check: string; status: string };
    const problems = findings.filter((each: Finding) => each.status === 'problem');
    assert.deepEqual(problems, []);
    for (const check of ['control', 'network database', 'tunnels', 'host stream'])
      assert.ok(
        findings.some((each: Finding) => each.check === check && each.status === 'ok'),
        check,
      );
  });

  test('guests on both machines reach each other by the tunnel', { timeout: 500_000 }, async () => {
    await ensurePublicGuest(cloud);
    const tenant = await Tenant.create(cloud, { cidr4: '10.68.0.0/24', cidr6: 'fd00:68::/64' });
    await tenant.allow({ protocol: 'icmp', ethertype: 'IPv4' });
    const [own] = (await hosts()).filter((each) => each !== name);
    const take = (host: string, does: 'enable' | 'disable') =>
      admin.must('PUT', 'compute', `/os-services/${does}`, { host, binary: 'nova-compute' });
    const ids: string[] = [];
    for (const [host, other] of [
      [own!, name],
      [name, own!],
    ] as const) {
      await take(host, 'enable');
      await take(other, 'disable');
      const id = await tenant.create(host === name ? 'b' : 'a');
      await tenant.active(id, 240_000);
      ids.push(id);
    }
    await take(own!, 'enable');
    const { ports } = await tenant.client.must('GET', 'network', `/v2.0/ports?device_id=${ids[1]}`);
    const there = ports[0].fixed_ips.find((each: { ip_address: string }) => !each.ip_address.includes(':')).ip_address;
    const guest = (directory: string, id: string) => join(cloudPaths(directory).run, 'host/guests', id, 'serial.sock');
    assert.ok(existsSync(guest(data, ids[0]!)) && existsSync(guest(joined, ids[1]!)));
    const shell = await GuestShell.open(guest(data, ids[0]!));
    await until(
      'a ping',
      async () => /, 0% packet loss/.test(await shell.run(`ping -c 2 -s 1400 ${there}; true`)),
      120_000,
      1000,
    );
    shell.close();
    const told = await GuestShell.open(guest(joined, ids[1]!));
    assert.match(await told.run('wget -qO- http://169.254.169.254/latest/meta-data/instance-id'), /^i-/);
    told.close();
    // It carries a server.
    const leave = await inside(second, [bothy, 'leave', '--no-drain', '--data', joined]);
    assert.equal(leave.status, 1);
    assert.match(leave.stderr, /has servers \(b\)/);
    assert.equal((await hosts()).length, 2);
    for (const id of ids) await tenant.remove(id);
    tenant.abandon();
  });

  test('it comes back after a stop, and leaves', { timeout: 240_000 }, async () => {
    await must(second, bothy, 'down', '--data', joined);
    await must(second, bothy, 'up', '--detach', '--data', joined);
    await until(
      'the host to be gone',
      async () => (await inside(second, [bothy, 'leave', '--data', joined])).status === 0,
      90_000,
      2000,
    );
    assert.ok(!existsSync(joined));
    assert.equal((await hosts()).length, 1);
    await until('one chassis', async () => (await chassis()).length === 1, 30_000);
  });
});

const cloudSetting = (directory: string, name: string): string =>
  new RegExp(`^${name} = (.*)$`, 'm').exec(readFileSync(cloudPaths(directory).settingsFile, 'utf8'))![1]!;
