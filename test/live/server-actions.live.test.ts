/**
 * Every action on a server's power by the unmodified openstack client, on a real guest: what is on its disk, what is in its memory and how
 * often it booted prove what happened.
 */
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { GuestByClient } from '../support/guest-by-client.ts';
import { ensurePublicGuest, uploadGuest } from '../support/guest-image.ts';
import { type LiveCloud, liveCloud, mustRun, notLive, until } from '../support/live-cloud.ts';
import type { OpenStack } from '../support/openstack.ts';
import { administrator, type Guest, Tenant } from '../support/tenant.ts';

describe('actions on a server', { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;
  let admin: OpenStack;
  let tenant: Tenant;
  let guest: Guest;
  let client: GuestByClient;
  /** Of the guest's present boot. */
  let boot = '';

  before(
    async () => {
      cloud = await liveCloud();
      await ensurePublicGuest(cloud);
      admin = await administrator(cloud);
      tenant = await Tenant.create(cloud, { cidr4: '10.41.0.0/24', cidr6: 'fd00:41::/64' });
      const properties = { hw_qemu_guest_agent: 'yes', os_admin_user: 'cirros' };
      const imageRef = await uploadGuest(admin, 'guest with an agent', properties);
      guest = await tenant.boot('小屋 of actions', { config_drive: true, imageRef });
      client = new GuestByClient(cloud, tenant, guest, cloud.adminEnvironment);
      await client.inside('echo kept | sudo tee /mark >/dev/null && sync');
      const counter = 'n=0; while :; do n=$((n+1)); echo $n >/tmp/count; sleep 0.2; done';
      await client.inside(`setsid sh -c '${counter}' </dev/null >/dev/null 2>&1 &`);
      boot = await client.bootId();
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      await tenant?.[Symbol.asyncDispose]();
      admin?.close();
      await cloud?.[Symbol.asyncDispose]();
    },
    { timeout: 300_000 },
  );

  const counted = async () => Number(await client.inside('cat /tmp/count'));

  test('its diagnostics count what passed its card', async () => {
    const { body } = await admin.call('GET', 'compute', `/servers/${guest.id}/diagnostics`, undefined, {
      'openstack-api-version': 'compute 2.48',
    });
    assert.deepEqual([body.state, body.num_nics, body.num_cpus], ['running', 1, 1]);
    assert.ok(body.nic_details[0].rx_octets > 1000 && body.nic_details[0].tx_octets > 1000, JSON.stringify(body));
    assert.ok(body.cpu_details[0].time > 1_000_000_000);
    assert.ok(body.disk_details[0].read_bytes > 1_000_000);
  });

  test('pause stops the guest where it is, and unpause lets it go on', async () => {
    const before = await counted();
    await client.tell('server', 'pause', guest.id);
    await client.becomes('PAUSED');
    assert.equal(client.qemus.length, 1);
    assert.equal(await client.reachable(8000), false);
    await client.tell('server', 'unpause', guest.id);
    await client.becomes('ACTIVE');
    await client.answers();
    assert.equal(await client.bootId(), boot);
    assert.ok((await counted()) > before);
  });

  test('suspend ends its QEMU and resume brings back what was in its memory', async () => {
    const before = await counted();
    await client.tell('server', 'suspend', guest.id);
    await client.becomes('SUSPENDED');
    assert.deepEqual(client.qemus, []);
    assert.ok(existsSync(join(client.files, 'memory')));
    await client.tell('server', 'resume', guest.id);
    await client.becomes('ACTIVE');
    await client.answers();
    assert.equal(await client.bootId(), boot, 'it has not booted again');
    assert.ok((await counted()) > before, 'what ran in it runs on');
    assert.equal(existsSync(join(client.files, 'memory')), false);
  });

  test('a non-maskable interrupt is seen by its kernel', async () => {
    await client.tell('--os-compute-api-version', '2.17', 'server', 'dump', 'create', guest.id);
    await until(
      'the kernel to say so',
      async () => (await client.openstack('console', 'log', 'show', guest.id)).stdout.includes('NMI received'),
      20_000,
      300,
    );
    assert.equal(await client.bootId(), boot);
  });

  test('its password is set by the agent in it', async () => {
    await client.tell('server', 'set', '--password', '密 🏔 pw', guest.id);
    const [user, hash] = (await client.inside('sudo grep ^cirros: /etc/shadow')).split(':');
    const salt = hash!.split('$')[2]!;
    const expected = await mustRun('openssl', ['passwd', '-6', '-salt', salt, '密 🏔 pw']);
    assert.deepEqual([user, hash], ['cirros', expected.trim()]);
  });

  test('a rescue boots another disk, with the server’s own beside it; unrescue comes back to that', async () => {
    await client.tell('server', 'rescue', '--image', 'guest', guest.id);
    await client.becomes('RESCUE');
    await client.answers();
    assert.notEqual(await client.bootId(), boot);
    assert.equal(await client.inside('test -e /mark || echo none'), 'none');
    await client.inside('sudo mount -o ro /dev/vdb2 /mnt');
    assert.equal(await client.inside('cat /mnt/mark'), 'kept');
    await client.tell('server', 'unrescue', guest.id);
    await client.becomes('ACTIVE');
    await client.answers();
    assert.equal(await client.inside('cat /mark'), 'kept');
    assert.equal(existsSync(join(client.files, 'rescue.qcow2')), false);
    boot = await client.bootId();
  });

  test('moves are refused with the reason, and a reset of the state changes no truth', async () => {
    const refused = await client.openstack('server', 'migrate', guest.id);
    assert.match(refused.stderr, /No valid host was found\. There is no other host/);
    await client.tell('server', 'set', '--state', 'error', guest.id);
    await client.becomes('ERROR');
    assert.equal(await client.bootId(), boot);
    await client.tell('server', 'set', '--state', 'active', guest.id);
    await client.becomes('ACTIVE');
    assert.equal(await client.bootId(), boot);
  });

  test('for an image of it while it runs, its agent has its file systems hold still', {
    timeout: 180_000,
  }, async () => {
    await client.tell('server', 'image', 'create', '--name', 'of a live disk', '--wait', guest.id);
    assert.equal(await client.bootId(), boot);
    await client.inside('echo after | sudo tee /after >/dev/null && sync');
    const { images } = await admin.must('GET', 'image', '/v2/images?name=of%20a%20live%20disk');
    assert.equal(images[0].status, 'active');
    // A file system that was mounted and not frozen still has a journal to be played back.
    assert.equal(await unplayedJournal(join(cloud.data, 'host/images/files', images[0].id)), false);
    assert.equal(await unplayedJournal(join(client.files, 'disk.qcow2')), true, 'of the disk itself');
    await admin.must('DELETE', 'image', `/v2/images/${images[0].id}`);
  });

  test('shelved, it leaves its host; unshelved, it has the disk and the addresses that it had', {
    timeout: 300_000,
  }, async () => {
    await client.tell('server', 'shelve', guest.id);
    await client.becomes('SHELVED_OFFLOADED');
    assert.deepEqual(client.qemus, []);
    assert.equal(existsSync(client.files), false);
    const saved = async () =>
      (await admin.must('GET', 'image', `/v2/images?owner=${await ownerOf()}`)).images as { name: string }[];
    assert.deepEqual(
      (await saved()).map(({ name }) => name),
      ['小屋 of actions-shelved'],
    );
    await client.tell('server', 'unshelve', guest.id);
    await client.becomes('ACTIVE');
    await client.answers();
    assert.equal(await client.inside('cat /mark /after'), 'kept\nafter');
    assert.notEqual(await client.bootId(), boot);
    boot = await client.bootId();
    await until('the image of its disk to be gone', async () => (await saved()).length === 0, 30_000);
    const { ports } = await tenant.client.must('GET', 'network', `/v2.0/ports?device_id=${guest.id}`);
    assert.deepEqual(
      ports.map(({ id }: { id: string }) => id),
      [guest.portId],
    );
    await client.tell('server', 'reboot', '--hard', guest.id);
    await client.becomes('ACTIVE');
    await client.answers();
    assert.equal(await client.inside('cat /mark'), 'kept', 'its disk needs the image no more');
  });

  const ownerOf = async (): Promise<string> =>
    (await tenant.client.must('GET', 'compute', `/servers/${guest.id}`)).server.tenant_id;

  /** Of the second partition, ext4's: needs_recovery in its superblock. */
  async function unplayedJournal(file: string): Promise<boolean> {
    const folder = mkdtempSync(join(tmpdir(), 'bothy-disk-'));
    try {
      const raw = join(folder, 'raw');
      await mustRun('qemu-img', ['convert', '-U', '-O', 'raw', file, raw]);
      const { partitiontable } = JSON.parse(await mustRun('sfdisk', ['--json', raw]));
      const superblock = Buffer.alloc(1024);
      const handle = openSync(raw, 'r');
      readSync(handle, superblock, 0, 1024, partitiontable.partitions[1].start * 512 + 1024);
      closeSync(handle);
      assert.equal(superblock.readUInt16LE(0x38), 0xef53);
      return (superblock.readUInt32LE(0x60) & 0x4) !== 0;
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test('what was done is told, each with how it ended', async () => {
    const listed = await client.openstack('server', 'event', 'list', guest.id, '-f', 'json', '-c', 'Action');
    const actions = (JSON.parse(listed.stdout) as { Action: string }[]).map(({ Action }) => Action).reverse();
    const done = ['create', 'pause', 'unpause', 'suspend', 'resume', 'trigger_crash_dump', 'changePassword'];
    const disks = ['createImage', 'shelve', 'unshelve', 'reboot'];
    assert.deepEqual(actions, [...done, 'rescue', 'unrescue', 'resetState', 'resetState', ...disks]);
  });
});
