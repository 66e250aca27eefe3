/**
 * What a project's member does to a server day by day, with the unmodified openstack client, on a real guest: its disk, its processors,
 * its cards and how often it booted prove what happened. Power, memory, rescue, passwords and shelving are in server-actions.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { GuestByClient } from '../support/guest-by-client.ts';
import { ensurePublicGuest } from '../support/guest-image.ts';
import { type LiveCloud, liveCloud, notLive, until } from '../support/live-cloud.ts';
import type { OpenStack } from '../support/openstack.ts';
import { administrator, Tenant } from '../support/tenant.ts';

describe('a server by the openstack client', { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;
  let admin: OpenStack;
  let tenant: Tenant;
  let client: GuestByClient;
  let id = '';
  /** Of the guest's present boot. */
  let boot = '';

  before(
    async () => {
      cloud = await liveCloud();
      await ensurePublicGuest(cloud);
      admin = await administrator(cloud);
      for (const vcpus of [1, 2]) {
        const flavor = { id: `by-client-${vcpus}`, name: `by-client-${vcpus}`, vcpus, ram: 192, disk: 1 };
        await admin.must('POST', 'compute', '/flavors', { flavor });
      }
      tenant = await Tenant.create(cloud, { cidr4: '10.43.0.0/24', cidr6: 'fd00:43::/64' });
      const guest = await tenant.boot('小屋 by client', { flavorRef: 'by-client-1' });
      client = new GuestByClient(cloud, tenant, guest);
      id = guest.id;
      await mark();
      boot = await client.bootId();
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      await tenant?.[Symbol.asyncDispose]();
      for (const vcpus of [1, 2]) await admin?.call('DELETE', 'compute', `/flavors/by-client-${vcpus}`);
      admin?.close();
      await cloud?.[Symbol.asyncDispose]();
    },
    { timeout: 300_000 },
  );

  const mark = () => client.inside('echo kept | sudo tee /mark >/dev/null && sync');
  const processors = () => client.inside('grep -c ^processor /proc/cpuinfo');
  const cards = async () => (await client.inside('ls /sys/class/net')).split(/\s+/).filter((name) => name !== 'lo');
  /** It has booted again, from the disk that it had. */
  const bootedAgain = async () => {
    await until(
      'another boot',
      async () => (await client.reachable()) && (await client.bootId().catch(() => boot)) !== boot,
      150_000,
      300,
    );
    assert.equal(await client.inside('cat /mark'), 'kept');
    boot = await client.bootId();
  };

  test('stop turns it off, start turns it on with the disk that it had', async () => {
    await client.tell('server', 'stop', id);
    await client.becomes('SHUTOFF');
    assert.deepEqual(client.qemus, []);
    await client.tell('server', 'start', id);
    await client.becomes('ACTIVE');
    await bootedAgain();
  });

  test('a soft reboot asks the guest, which goes down in order and comes back', async () => {
    await client.tell('server', 'reboot', '--soft', '--wait', id);
    await bootedAgain();
  });

  test('locked, it obeys nobody of its project but who locked it, and says why', async () => {
    const as = { 'openstack-api-version': 'compute 2.73' };
    const lock = { lock: { locked_reason: '修理' } };
    assert.equal((await admin.call('POST', 'compute', `/servers/${id}/action`, lock, as)).status, 202);
    const refused = await client.openstack('server', 'stop', id);
    assert.match(refused.stderr, /locked/);
    const shown = await client.tell('--os-compute-api-version', '2.73', 'server', 'show', id, '-f', 'json');
    assert.deepEqual([JSON.parse(shown).locked, JSON.parse(shown).locked_reason], [true, '修理']);
    await admin.must('POST', 'compute', `/servers/${id}/action`, { unlock: null });
    await client.tell('server', 'lock', id);
    await client.tell('server', 'unlock', id);
    assert.equal(await client.bootId(), boot);
  });

  test('resized and confirmed it has more processors; resized and reverted it has what it had', {
    timeout: 300_000,
  }, async () => {
    await client.tell('server', 'resize', '--flavor', 'by-client-2', '--wait', id);
    await client.becomes('VERIFY_RESIZE');
    await bootedAgain();
    assert.equal(await processors(), '2');
    await client.tell('server', 'resize', 'confirm', id);
    await client.becomes('ACTIVE');
    await client.tell('server', 'resize', '--flavor', 'by-client-1', '--wait', id);
    await bootedAgain();
    assert.equal(await processors(), '1');
    await client.inside('sudo rm /mark && sync');
    await client.tell('server', 'resize', 'revert', id);
    await client.becomes('ACTIVE');
    await client.answers();
    assert.deepEqual([await processors(), await client.inside('cat /mark')], ['2', 'kept'], 'the disk of before');
    boot = await client.bootId();
  });

  test('a port comes while it runs, and goes', async () => {
    const made = await client.tell(
      'port',
      'create',
      '--network',
      tenant.networkId,
      'second',
      '-f',
      'value',
      '-c',
      'id',
    );
    const port = made.trim();
    await client.tell('server', 'add', 'port', id, port);
    await until('a second card', async () => (await cards()).length === 2, 60_000, 300);
    await client.tell('server', 'remove', 'port', id, port);
    await until('one card', async () => (await cards()).length === 1, 60_000, 300);
    assert.equal(await client.bootId(), boot);
  });

  test('one more address of its network is told to it, and taken back', async () => {
    await client.tell('--os-compute-api-version', '2.43', 'server', 'add', 'fixed', 'ip', id, tenant.networkId);
    const addresses = async (): Promise<string[]> => {
      const { server } = await tenant.client.must('GET', 'compute', `/servers/${id}`);
      const all = Object.values(server.addresses).flat() as {
        addr: string;
        version: number;
        [type: string]: unknown;
      }[];
      return all.filter((one) => one.version === 4 && one['OS-EXT-IPS:type'] === 'fixed').map(({ addr }) => addr);
    };
    const more = (await addresses()).filter((address) => address !== client.guest.ipv4);
    assert.equal(more.length, 1);
    // This client's own command ends before it asks anybody: its library has lost the call.
    const removal = { removeFixedIp: { address: more[0] } };
    assert.equal((await tenant.client.call('POST', 'compute', `/servers/${id}/action`, removal)).status, 202);
    await until('it to be gone', async () => (await addresses()).length === 1, 60_000, 300);
    assert.ok(await client.reachable());
  });

  test('without its security group nobody reaches it, without its floating IP neither', async () => {
    const [without, again] = [
      ['security group', tenant.groupId],
      ['floating ip', client.guest.floatingIp],
    ] as const;
    for (const [noun, which] of [without, again]) {
      await client.tell('server', 'remove', ...noun.split(' '), id, which);
      await until(`no way in without its ${noun}`, async () => !(await client.reachable(6000)), 60_000, 300);
      await client.tell('server', 'add', ...noun.split(' '), id, which);
      await client.answers();
    }
    assert.equal(await client.bootId(), boot);
  });

  test('properties and tags are told; the guest reads the properties', async () => {
    await client.tell('server', 'set', '--property', 'büro=東京', id);
    const url = 'http://169.254.169.254/openstack/latest/meta_data.json';
    await until(
      'the guest to read it',
      async () => (await client.inside(`curl -s ${url}`)).includes('東京'),
      60_000,
      300,
    );
    await client.tell('server', 'unset', '--property', 'büro', id);
    await client.tell('--os-compute-api-version', '2.26', 'server', 'set', '--tag', 'grün', id);
    const listed = await client.tell(
      '--os-compute-api-version',
      '2.26',
      'server',
      'list',
      '--tags',
      'grün',
      '-f',
      'value',
      '-c',
      'ID',
    );
    assert.equal(listed.trim(), id);
  });

  test('its console is told as text, and as an address for a browser', async () => {
    assert.match(await client.tell('console', 'log', 'show', '--lines', '200', id), /login:/);
    const shown = JSON.parse(await client.tell('console', 'url', 'show', '--novnc', id, '-f', 'json'));
    assert.match(shown.url, /^https:.*token/);
  });

  test('a backup is rotated, and an image of it makes another server with its disk', { timeout: 300_000 }, async () => {
    for (const name of ['first', 'second']) {
      await client.tell('server', 'backup', 'create', '--name', name, '--type', 'daily', '--rotate', '1', '--wait', id);
    }
    const images = async () => {
      const { images } = await tenant.client.must('GET', 'image', '/v2/images?visibility=private');
      return images.map(({ name }: { name: string }) => name).sort();
    };
    await until('one backup', async () => (await images()).join() === 'second', 60_000, 300);
    const group = ['--security-group', tenant.groupId, '--key-name', tenant.keyName];
    const net = ['--network', tenant.networkId, '--flavor', 'by-client-1', '--image', 'second'];
    const made = await client.tell(
      'server',
      'create',
      ...net,
      ...group,
      '--wait',
      'of the backup',
      '-f',
      'value',
      '-c',
      'id',
    );
    const other = made.trim().split('\n').at(-1)!;
    const { ports } = await tenant.client.must('GET', 'network', `/v2.0/ports?device_id=${other}`);
    await client.tell('server', 'remove', 'floating', 'ip', id, client.guest.floatingIp);
    await client.tell('server', 'add', 'floating', 'ip', other, client.guest.floatingIp);
    await client.answers();
    assert.deepEqual([await client.inside('cat /mark'), ports.length], ['kept', 1]);
    assert.notEqual(await client.bootId(), boot);
    await client.tell('server', 'delete', '--wait', other);
    await client.tell('server', 'add', 'floating', 'ip', id, client.guest.floatingIp);
    await client.answers();
    assert.equal(await client.bootId(), boot);
    await client.tell('image', 'delete', 'second');
  });

  test('rebuilt, it keeps its id and its addresses, and nothing of its disk', async () => {
    await client.tell('server', 'rebuild', '--image', 'guest', '--wait', id);
    await client.becomes('ACTIVE');
    await client.answers();
    assert.equal(await client.inside('test -e /mark || echo none'), 'none');
    assert.match(await client.inside('ip -4 -o address show'), new RegExp(client.guest.ipv4.replaceAll('.', '\\.')));
  });

  test('moves are refused with the reason, what was done is told, and deleted by force it is gone', async () => {
    const evacuated = await new GuestByClient(cloud, tenant, client.guest, cloud.adminEnvironment).openstack(
      ...['server', 'evacuate', id],
    );
    assert.notEqual(evacuated.status, 0);
    assert.match(evacuated.stderr, /HTTP 4\d\d/);
    const events = JSON.parse(await client.tell('server', 'event', 'list', id, '-f', 'json')) as { Action: string }[];
    const told = new Set(events.map(({ Action }) => Action));
    const acts = [
      'create',
      'stop',
      'start',
      'reboot',
      'resize',
      'confirmResize',
      'revertResize',
      'createBackup',
      'rebuild',
    ];
    assert.deepEqual(
      acts.filter((act) => !told.has(act)),
      [],
    );
    assert.match(await client.tell('usage', 'show', '-f', 'json'), /"CPU Hours": [\d.]+/);
    assert.equal(existsSync(client.files), true);
    await client.tell('server', 'delete', '--force', '--wait', id);
    assert.deepEqual([existsSync(client.files), client.qemus], [false, []]);
  });
});
