/**
 * The database of a running cloud is lost. Its guest lives on, is taken up by one command, and obeys again. Makes a cloud of its
 * own, for this would hurt a shared one.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { removeCloud, reserveCloud } from '../../../cli/cloud/throw-away.ts';
import { cloudPaths } from '../../../cli/settings.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { bothy, environmentOf, type LiveCloud, mustRun, notLive, run, until } from '../../support/live-cloud.ts';
import { type Guest, Tenant } from '../../support/tenant.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and this would hurt it' : undefined);

describe('a lost database', { skip, concurrency: 1 }, () => {
  let data: string;
  let cloud: LiveCloud;
  let tenant: Tenant;
  let guest: Guest;
  let pid: string;
  let disk: number;

  const command = (...args: string[]) => run(bothy, [...args, '--data', data], { deadlineMs: 300_000 });
  const must = (...args: string[]) => mustRun(bothy, [...args, '--data', data], { deadlineMs: 300_000 });
  const pidFile = () => join(cloudPaths(data).run, 'host/guests', guest.id);
  const qemu = async () => (await run('pgrep', ['-f', `qemu.*${guest.id}`])).stdout.trim();
  const diskFile = () => join(data, 'host/servers', guest.id, 'disk.qcow2');
  const assertSame = async () => {
    assert.equal(await qemu(), pid, 'the guest is the same process');
    assert.equal(statSync(diskFile()).ino, disk, 'its disk is the same');
  };

  before(
    async () => {
      data = await reserveCloud();
      await must('up', '--detach');
      const adminEnvironment = environmentOf(join(data, 'openrc'));
      cloud = { data, adminEnvironment, caFile: join(data, 'ca.pem'), [Symbol.asyncDispose]: async () => {} };
      await ensurePublicGuest(cloud);
      tenant = await Tenant.create(cloud, { cidr4: '10.53.0.0/24', cidr6: 'fd00:53::/64' });
      guest = await tenant.boot('witness');
      pid = await qemu();
      disk = statSync(diskFile()).ino;
      assert.ok(existsSync(pidFile()) && pid !== '');
    },
    { timeout: 300_000 },
  );
  after(async () => {
    tenant?.abandon();
    await removeCloud(data);
  });

  test('without it no start, and nothing is touched', { timeout: 120_000 }, async () => {
    await must('down', '--keep-guests');
    rmSync(join(data, 'postgres'), { recursive: true });
    const refused = await command('up', '--detach');
    assert.equal(refused.status, 1, refused.stdout + refused.stderr);
    assert.match(refused.stderr, /database .* is missing.*1 server[\s\S]*--new-database/);
    assert.deepEqual(existsSync(join(data, 'postgres')), false);
    await assertSame();
  });

  test('with a new one the guest goes on, and doctor says that it waits', { timeout: 180_000 }, async () => {
    await must('up', '--detach', '--new-database');
    await until('doctor to know', async () => /quarantine/.test((await command('doctor', '--json')).stdout), 60_000);
    assert.match(await must('recover', '--list'), new RegExp(`server ${guest.id} .*its guest runs`));
    await assertSame();
  });

  test('one command takes it up: it is the same guest, with its address', { timeout: 180_000 }, async () => {
    const console = async () => (await openstack('console', 'log', 'show', guest.id)).stdout;
    assert.match(await must('recover'), new RegExp(`server ${guest.id} .*taken up`));
    await until('the quarantine to be over', async () => /Nothing/.test(await must('recover', '--list')), 60_000);
    await assertSame();
    await until('the server to be ACTIVE', async () => (await statusOf()) === 'ACTIVE', 60_000);
    assert.match(await console(), /\S/, 'its console is at hand');
    await assertSame();
  });

  test('and it stops, starts and goes as any server', { timeout: 300_000 }, async () => {
    await openstack('server', 'stop', guest.id);
    await until('it to be off', async () => (await statusOf()) === 'SHUTOFF', 120_000);
    assert.equal(await qemu(), '');
    assert.equal(statSync(diskFile()).ino, disk);
    await openstack('server', 'start', guest.id);
    await until('it to run', async () => (await statusOf()) === 'ACTIVE', 120_000);
    await openstack('server', 'delete', guest.id);
    await until('it to be gone', async () => (await statusOf()) === '', 120_000);
    assert.deepEqual(readdirSync(join(data, 'host/servers')), []);
  });

  const openstack = (...args: string[]) =>
    run('openstack', args, { env: { ...process.env, ...environmentOf(join(data, 'openrc')) } });
  const statusOf = async () =>
    (await openstack('server', 'show', guest.id, '-f', 'value', '-c', 'status')).stdout.trim();
});
