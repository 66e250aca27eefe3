/**
 * Bad days of a whole cloud: started twice, stopped and taken over, robbed of its OVN database, of PostgreSQL under load, of
 * a process; and removed without a trace. Makes a cloud of its own, for everything here would hurt a shared one.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { cloudPaths } from '../../../cli/settings.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
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
import { type Guest, Tenant } from '../../support/tenant.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and this would hurt it' : undefined);

interface Status {
  state: string;
  supervisor: number | null;
  processes: { name: string; pid: number | null; state: string }[];
}

describe('bad days of a cloud', { skip, concurrency: 1 }, () => {
  let data: string;
  let cloud: LiveCloud;
  let tenant: Tenant;
  let guest: Guest;
  let starts: Output[];
  let machine: Footprint;

  const command = (...args: string[]) => run(bothy, [...args, '--data', data], { deadlineMs: 120_000 });
  const succeeds = async (...args: string[]) => {
    const output = await command(...args);
    assert.equal(output.status, 0, `bothy ${args.join(' ')}\n${output.stdout}${output.stderr}`);
    return output.stdout;
  };
  const status = async (): Promise<Status> => JSON.parse((await command('status', '--json')).stdout);
  const pidsOf = async () => Object.fromEntries((await status()).processes.map(({ name, pid }) => [name, pid]));
  const inGuest = async (line: string) => Number((await tenant.ssh(guest, line)).stdout);
  const answersSsh = async () => (await tenant.ssh(guest, 'true', 4000)).status === 0;

  before(
    async () => {
      data = await mkdtemp(join(tmpdir(), 'bothy-bad-'));
      machine = await footprint(data);
      starts = await Promise.all([command('up', '--detach'), command('up', '--detach')]);
      for (const { status, stdout, stderr } of starts) assert.equal(status, 0, stdout + stderr);
      const adminEnvironment = environmentOf(join(data, 'openrc'));
      cloud = { data, adminEnvironment, caFile: join(data, 'ca.pem'), [Symbol.asyncDispose]: async () => {} };
      await ensurePublicGuest(cloud);
      tenant = await Tenant.create(cloud, { cidr4: '10.51.0.0/24', cidr6: 'fd00:51::/64' });
      guest = await tenant.boot('witness');
    },
    { timeout: 300_000 },
  );
  after(async () => {
    tenant?.abandon();
    await command('down', '--purge', '--yes');
  });

  test('two starts of one data directory at once make one cloud, and a later one says that it runs already', async () => {
    const said = starts.map(({ stdout }) => stdout).join('');
    assert.match(said, /The cloud is up/);
    assert.match(said, /runs already/);
    assert.match(await succeeds('up', '--detach'), /runs already \(supervisor pid \d+\)/);
    assert.match(await succeeds('up'), /runs already \(supervisor pid \d+\)/);
  });

  test('a second cloud in this network namespace is refused at once, with a way out, and nothing of it is made', async () => {
    const other = `${data}-other`;
    const started = performance.now();
    const output = await run(bothy, ['up', '--detach', '--data', other], { deadlineMs: 60_000 });
    assert.ok(performance.now() - started < 5000);
    assert.equal(output.status, 1, output.stdout);
    assert.match(output.stderr, new RegExp(`network namespace is taken by the cloud in ${data}`));
    assert.match(output.stderr, /ip netns add bothy-[0-9a-f]{4}/);
    assert.match(output.stderr, /nsenter --net=\/run\/netns\/bothy-[0-9a-f]{4} \.\/bothy up --detach --data/);
    assert.ok(!readdirSync(tmpdir()).some((name) => name.endsWith('-other') && other.endsWith(name)));
  });

  test('bothy test says at once that a cloud is in its way, and how to run it beside', async () => {
    const started = performance.now();
    const output = await run(bothy, ['test'], { deadlineMs: 30_000 });
    assert.ok(performance.now() - started < 5000);
    assert.equal(output.status, 1, output.stdout);
    assert.equal(output.stdout, '', 'nothing was begun');
    assert.match(output.stderr, new RegExp(`network namespace is taken by the cloud in ${data}`));
    assert.match(output.stderr, /nsenter --net=\/run\/netns\/bothy-[0-9a-f]{4} \.\/bothy test/);
  });

  test('from another network namespace the cloud cannot be stopped by halves', async () => {
    const output = await run('unshare', ['--net', bothy, 'down', '--purge', '--yes', '--data', data]);
    assert.equal(output.status, 1, output.stdout);
    assert.match(output.stderr, /lives in another network namespace[\s\S]*nsenter --net=/);
    assert.equal((await status()).state, 'up');
  });

  test('the API shows a certificate with the names of this machine', async () => {
    const url = new URL(cloud.adminEnvironment.OS_AUTH_URL!);
    const socket = tls.connect({
      host: '127.0.0.1',
      port: Number(url.port),
      servername: 'localhost',
      ca: readFileSync(cloud.caFile),
    });
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    const names = socket.getPeerCertificate().subjectaltname ?? '';
    socket.destroy();
    for (const name of [`DNS:${hostname()}`, 'DNS:localhost', 'IP Address:127.0.0.1', 'IP Address:0:0:0:0:0:0:0:1'])
      assert.ok(names.includes(name), `${name} in ${names}`);
  });

  test('the doctor finds a healthy cloud healthy', async () => {
    const output = await command('doctor');
    assert.equal(output.status, 0, output.stdout);
    assert.match(output.stdout, /\n0 problems, /);
    assert.match(output.stdout, /✓ clocks +PostgreSQL, host \S+: within \d+ ms of this machine's/);
    for (const check of ['process metadata-proxy', 'control OVN projection', 'host reconciliation', 'port 8443'])
      assert.match(output.stdout, new RegExp(`✓ ${check} `));
  });

  test('the doctor names a control process that stands still', async (t) => {
    const { control } = await pidsOf();
    process.kill(control!, 'SIGSTOP');
    t.after(() => process.kill(control!, 'SIGCONT'));
    const output = await command('doctor');
    assert.equal(output.status, 1);
    assert.match(output.stdout, /process control +pid \d+ stands still/);
    t.diagnostic(
      output.stdout
        .split('\n')
        .filter((line) => /✗|→/.test(line))
        .join('\n'),
    );
  });

  test('the doctor names an ovn-controller that stands still', async (t) => {
    const pid = (await pidsOf())['ovn-controller'];
    process.kill(pid!, 'SIGSTOP');
    t.after(() => process.kill(pid!, 'SIGCONT'));
    const output = await command('doctor');
    assert.equal(output.status, 1);
    assert.match(output.stdout, /process ovn-controller +pid \d+ stands still/);
    t.diagnostic(
      output.stdout
        .split('\n')
        .filter((line) => /✗|→/.test(line))
        .join('\n'),
    );
  });

  test('an emptied OVN northbound is written again: open connections go on, and new ones are made within seconds', async (t) => {
    const socket = `unix:${cloudPaths(data).run}/ovn/nb.sock`;
    const tables = ['Logical_Switch', 'Logical_Router', 'Port_Group', 'Address_Set', 'DHCP_Options'];
    const operations = tables.map((table) => ({ op: 'delete', table, where: [] }));
    const rows = async () =>
      (await mustRun('ovn-nbctl', [`--db=${socket}`, '--bare', '--columns=name', 'list', 'Logical_Router'])).trim();
    const routers = await rows();
    assert.notEqual(routers, '');
    const session = tenant.openCounter(guest);
    t.after(() => session.close());
    await until('the open session counts', async () => session.count() > 3, 10_000);
    await mustRun('ovsdb-client', ['transact', socket, JSON.stringify(['OVN_Northbound', ...operations])]);
    const started = performance.now();
    await until('the rows are there again', async () => (await rows()) === routers, 10_000);
    const whenWritten = session.count();
    await until('the guest answers over its floating IP', answersSsh, 20_000);
    t.diagnostic(`after ${Math.round(performance.now() - started)} ms`);
    // The guest counts on while nothing passes: what arrives later shows that it is the same connection.
    await until('the session that was open counts on', async () => session.count() > whenWritten + 10, 20_000);
    assert.equal(session.ended(), false);
  });

  describe('uploads', { concurrency: 1 }, () => {
    const images = () => join(data, 'host/images');
    const stored = () => ({ images: list(join(images(), 'files')).sort(), incoming: list(join(images(), 'incoming')) });
    const create = async (name: string, format = 'raw') =>
      (await tenant.client.must('POST', 'image', '/v2/images', { name, disk_format: format, container_format: 'bare' }))
        .id as string;
    const upload = (id: string, bytes: Buffer) =>
      tenant.client.call('PUT', 'image', `/v2/images/${id}/file`, bytes, {
        'content-type': 'application/octet-stream',
      });
    const statusOf = async (id: string) => (await tenant.client.must('GET', 'image', `/v2/images/${id}`)).status;

    test('a disk that is full refuses the image with a reason, keeps nothing of it, and the cloud goes on', async () => {
      const id = await create('too much');
      await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', images()]);
      try {
        const empty = stored();
        const answer = await upload(id, Buffer.alloc(20 << 20));
        assert.equal(answer.status, 413, JSON.stringify(answer.body));
        assert.match(String(answer.body), /space|room|full|disk/);
        assert.equal(await statusOf(id), 'queued');
        await until('nothing is left of it', async () => list(join(images(), 'incoming')).length === 0, 5000);
        assert.deepEqual(stored().images, empty.images);
        assert.equal((await upload(id, Buffer.alloc(1 << 20))).status, 204, 'a smaller one fits');
      } finally {
        await mustRun('umount', ['-l', images()]);
      }
      await tenant.client.must('DELETE', 'image', `/v2/images/${id}`);
      assert.ok(await answersSsh());
    });

    test('an upload that the client cuts in the middle leaves a queued image and nothing on the host', async () => {
      const id = await create('cut');
      const before = stored();
      const url = new URL(tenant.client.url('image', `/v2/images/${id}/file`));
      const socket = tls.connect({ host: url.hostname, port: Number(url.port), ca: readFileSync(cloud.caFile) });
      await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      const headers = `x-auth-token: ${tenant.client.token}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${8 << 20}`;
      socket.write(`PUT ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\n${headers}\r\n\r\n`);
      socket.write(Buffer.alloc(1 << 20));
      await until('it is being saved', async () => (await statusOf(id)) === 'saving', 5000, 20);
      socket.destroy();
      await until('the image is queued again', async () => (await statusOf(id)) === 'queued', 10_000);
      await until('nothing is left on the host', async () => JSON.stringify(stored()) === JSON.stringify(before), 5000);
      assert.equal((await upload(id, Buffer.alloc(1 << 20))).status, 204, 'it can be uploaded again');
      await tenant.client.must('DELETE', 'image', `/v2/images/${id}`);
    });

    test('an image that lies about its format is refused, and the openstack client shows why', async (t) => {
      const file = join(data, 'cache/liar');
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', file, '1M'], { env: process.env, deadlineMs: 10_000 });
      const env = { ...process.env, ...cloud.adminEnvironment };
      const args = ['image', 'create', '--disk-format', 'vmdk', '--file', file, 'liar'];
      const output = await run('openstack', args, { env, deadlineMs: 60_000 });
      t.diagnostic(`${output.status}: ${output.stderr.trim()}`);
      assert.notEqual(output.status, 0);
      assert.match(output.stderr + output.stdout, /qcow2/);
    });
  });

  test('PostgreSQL killed under load: every request succeeds or fails clean, and the cloud goes on', async (t) => {
    const outcomes: Record<string, number> = {};
    const unclean: string[] = [];
    const made: string[] = [];
    let over = false;
    const note = (what: string, answer: { status: number; body: unknown; headers: Record<string, unknown> }) => {
      outcomes[answer.status] = (outcomes[answer.status] ?? 0) + 1;
      const fault = JSON.stringify(answer.body) ?? '';
      const unavailable = answer.status === 503 && /503|ServiceUnavailable/.test(fault);
      if (answer.status >= 300 && !unavailable) unclean.push(`${what}: ${answer.status} ${fault}`);
    };
    const load = async (worker: number) => {
      for (let n = 0; !over; n++) {
        const name = `load-${worker}-${n}`;
        const answer = await tenant.client.call('POST', 'network', '/v2.0/security-groups', {
          security_group: { name },
        });
        note('POST security-groups', answer);
        if (answer.status === 201) made.push(name);
        note('GET servers', await tenant.client.call('GET', 'compute', '/servers/detail'));
        note('GET images', await tenant.client.call('GET', 'image', '/v2/images'));
      }
    };
    const { postgres } = await pidsOf();
    const working = Promise.all([0, 1, 2].map(load));
    await until('some requests have passed', async () => (outcomes[200] ?? 0) > 10, 10_000, 20);
    process.kill(postgres!, 'SIGKILL');
    const started = performance.now();
    const seen = outcomes[200] ?? 0;
    await until(
      'the killed one is replaced and requests pass',
      async () => (await pidsOf()).postgres !== postgres && (outcomes[200] ?? 0) > seen + 20,
      30_000,
    );
    t.diagnostic(`serving again after ${Math.round(performance.now() - started)} ms`);
    over = true;
    await working;
    t.diagnostic(JSON.stringify(outcomes));
    assert.deepEqual(unclean, []);
    const { security_groups } = await tenant.client.must('GET', 'network', '/v2.0/security-groups');
    const kept = new Set(security_groups.map((group: { name: string }) => group.name));
    assert.deepEqual(
      made.filter((name) => !kept.has(name)),
      [],
      'what was said to be made is there',
    );
    await tenant.remove(await tenant.create('after the fall'));
    assert.ok(await answersSsh());
  });

  test('a supervisor that was killed is followed by one that adopts every process', async () => {
    const first = await pidsOf();
    process.kill(first.supervisor!, 'SIGKILL');
    await until('it is gone', async () => (await status()).state === 'unsupervised', 5000);
    await succeeds('up', '--detach');
    const { supervisor, ...second } = await pidsOf();
    assert.notEqual(supervisor, first.supervisor);
    assert.deepEqual({ ...second, supervisor: first.supervisor }, first);
  });

  test('guests that are kept go on while the cloud is down and after it is up again', async () => {
    await tenant.ssh(
      guest,
      `sh -c '(n=0; while :; do n=$((n+1)); echo $n > /run/counter; sleep 0.2; done) >/dev/null 2>&1 &'`,
    );
    await until('the counter counts', async () => (await inGuest('cat /run/counter')) > 0, 5000);
    await succeeds('down', '--keep-guests');
    const then = await inGuest('cat /run/counter');
    await until('the counter goes on without a cloud', async () => (await inGuest('cat /run/counter')) > then, 5000);
    await succeeds('up', '--detach');
    const now = await inGuest('cat /run/counter');
    assert.ok(now > then);
    await until('the counter goes on', async () => (await inGuest('cat /run/counter')) > now, 5000);
  });

  test('guests that were on are on again after the cloud was down', async (t) => {
    const boot = (await tenant.ssh(guest, 'cat /proc/sys/kernel/random/boot_id')).stdout;
    const off = await tenant.create('off');
    await tenant.active(off);
    await tenant.client.must('POST', 'compute', `/servers/${off}/action`, { 'os-stop': null });
    const statusOf = async (id: string) => (await tenant.client.must('GET', 'compute', `/servers/${id}`)).server.status;
    await until('the other is off', async () => (await statusOf(off)) === 'SHUTOFF');
    t.diagnostic(await succeeds('down'));
    const downAt = performance.now();
    assert.equal((await status()).state, 'down');
    assert.equal((await run('pgrep', ['-f', `qemu-system.*${data}`])).stdout, '');
    await succeeds('up', '--detach');
    t.diagnostic(`up after ${Math.round(performance.now() - downAt)} ms`);
    await until('the guest answers again', answersSsh, 60_000);
    t.diagnostic(`the guest answers after ${Math.round(performance.now() - downAt)} ms`);
    assert.notEqual((await tenant.ssh(guest, 'cat /proc/sys/kernel/random/boot_id')).stdout, boot);
    assert.equal(await statusOf(guest.id), 'ACTIVE');
    assert.equal(await statusOf(off), 'SHUTOFF');
  });

  test('a purge leaves nothing behind', async () => {
    await succeeds('down', '--purge', '--yes');
    assert.deepEqual(await footprint(data), machine);
    assert.match(await succeeds('down', '--purge', '--yes'), /nothing to remove/);
  });
});

interface Footprint {
  links: string[];
  namespaces: string[];
  tables: string[];
  processes: string[];
  run: string[];
  data: string[];
  kernel: string;
}

/** Everything on this machine that a cloud could leave. */
async function footprint(data: string): Promise<Footprint> {
  const lines = async (file: string, args: string[]) =>
    (await run(file, args)).stdout
      .split('\n')
      .filter((line) => line !== '')
      .sort();
  const tag = cloudPaths(data).run.split('/').at(-1)!;
  const processes = (await lines('ps', ['-eo', 'args'])).filter(
    (line) => line.includes(`/bothy/${tag}/`) || (line.includes(data) && !line.startsWith('ps ')),
  );
  const links = (await lines('ip', ['-o', 'link'])).map((line) => /^\d+: ([^:@]+)/.exec(line)![1]!).sort();
  return {
    links,
    namespaces: (await lines('ip', ['netns', 'list'])).filter((name) => name.startsWith(tag)),
    tables: await lines('nft', ['list', 'tables']),
    processes,
    run: list('/run/bothy').filter((name) => name === tag),
    data: list(data),
    kernel: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'),
  };
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
