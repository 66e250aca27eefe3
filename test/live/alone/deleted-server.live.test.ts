/**
 * A deleted server is restored and later reclaimed, by the unmodified openstack client, where the cloud is set so. A cloud of its own, for the
 * setting is the whole cloud's.
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { removeCloud, reserveCloud } from '../../../cli/cloud/throw-away.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { bothy, environmentOf, type LiveCloud, mustRun, notLive, until } from '../../support/live-cloud.ts';
import { type Guest, Tenant } from '../../support/tenant.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and its settings are its own' : undefined);
const reclaimSeconds = 45;

describe('a deleted server', { skip, concurrency: 1 }, () => {
  let data: string;
  let cloud: LiveCloud;
  let tenant: Tenant;
  let guest: Guest;

  before(
    async () => {
      data = await reserveCloud();
      writeFileSync(join(data, 'bothy.conf'), `reclaim_instance_interval = ${reclaimSeconds}\n`);
      await mustRun(bothy, ['up', '--detach', '--data', data], { deadlineMs: 300_000 });
      const adminEnvironment = environmentOf(join(data, 'openrc'));
      cloud = { data, adminEnvironment, caFile: join(data, 'ca.pem'), [Symbol.asyncDispose]: async () => {} };
      await ensurePublicGuest(cloud);
      tenant = await Tenant.create(cloud, { cidr4: '10.54.0.0/24', cidr6: 'fd00:54::/64' });
      guest = await tenant.boot('deleted by mistake');
      await inGuest('echo kept | sudo tee /mark >/dev/null && sync');
    },
    { timeout: 400_000 },
  );
  after(async () => {
    tenant?.abandon();
    await removeCloud(data);
  });

  const tell = (...args: string[]) =>
    mustRun('openstack', args, {
      env: { PATH: process.env.PATH!, HOME: '/nonexistent', LANG: 'C.UTF-8', ...cloud.adminEnvironment },
    });
  const inGuest = async (command: string) => {
    const result = await tenant.ssh(guest, command);
    assert.equal(result.status, 0, `${command}\n${result.stdout}${result.stderr}`);
    return result.stdout.trim();
  };
  const disk = () => existsSync(join(data, 'host/servers', guest.id, 'disk.qcow2'));
  const status = async (): Promise<string> => {
    const { status: code, body } = await tenant.client.call('GET', 'compute', `/servers/${guest.id}`);
    return code === 404 ? 'gone' : body.server['OS-EXT-STS:task_state'] === null ? body.server.status : 'busy';
  };
  const becomes = (wanted: string, deadlineMs = 120_000) =>
    until(`the server to be ${wanted}`, async () => (await status()) === wanted, deadlineMs, 300);

  test('is off, and has what was on its disk when it is restored', { timeout: 300_000 }, async () => {
    await tell('server', 'delete', guest.id);
    await becomes('SOFT_DELETED');
    assert.ok(disk());
    await tell('server', 'restore', guest.id);
    await becomes('ACTIVE');
    await until('the guest to answer', async () => (await tenant.ssh(guest, 'true')).status === 0, 150_000, 300);
    assert.equal(await inGuest('cat /mark'), 'kept');
  });

  test('is gone with its disk when nobody has restored it in time', { timeout: 300_000 }, async () => {
    await tell('server', 'delete', guest.id);
    await becomes('SOFT_DELETED');
    await becomes('gone', (reclaimSeconds + 60) * 1000);
    await until('its disk to be gone', async () => !disk(), 30_000);
  });
});
