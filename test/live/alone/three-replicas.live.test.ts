/**
 * A guest boots from a replicated volume and has a second one, whose replica lies on another machine than that of the first. It goes there; then the guest's machine is killed
 * whole, and it boots from the replicas of both: what it had said to be in its file system and then on the other volume is there in that order.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertPrefix } from '../../support/exact-prefix.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import { deviceIn } from '../../support/numbered-sequence.ts';
import type { OpenStack } from '../../support/openstack.ts';
import { readRecords, recordsIn } from '../../support/paired-records.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

describe('a server of three machines whose volumes are replicated', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let second: JoinedMachine;
  let third: JoinedMachine;
  let admin: OpenStack;
  let tenant: Tenant;
  let root: string;
  let data: string;
  let server: string;

  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by assertions, not by types
  type Body = any;
  const show = async () => (await admin.must('GET', 'compute', `/servers/${server}`)).server;
  const replicaOf = async (id: string): Promise<Body> => (await admin.native('GET', `/volumes/${id}/replica`)).replica;
  const known = () => Promise.all([root, data].filter(Boolean).map(replicaOf));
  const told = async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await known())}`, { cause: error });
  };
  /** Nothing is put on its pools, or something is again. */
  async function pools(machine: JoinedMachine, enabled: boolean): Promise<void> {
    const { services } = await admin.must('GET', 'block-storage', '/os-services?binary=cinder-volume');
    for (const { host } of services.filter((each: { host: string }) => each.host.startsWith(`${machine.name}@`)))
      await admin.must('PUT', 'block-storage', `/os-services/${enabled ? 'enable' : 'disable'}`, {
        ...{ host, binary: 'cinder-volume' },
      });
  }
  async function make(volume: object, hints: object = {}): Promise<string> {
    const made = await tenant.client.must('POST', 'block-storage', '/volumes', {
      volume: { size: 1, volume_type: 'replicated', ...volume },
      'OS-SCH-HNT:scheduler_hints': hints,
    });
    const { id } = made.volume;
    await until(
      'the volume to be there',
      async () => {
        const shown = (await admin.must('GET', 'block-storage', `/volumes/${id}`)).volume;
        assert.notEqual(shown.status, 'error', JSON.stringify(shown));
        return shown.status === 'available';
      },
      240_000,
    );
    return id;
  }

  before(
    async () => {
      world = await JoinedMachines.start(3);
      [first, second, third] = world.machines as [JoinedMachine, JoinedMachine, JoinedMachine];
      admin = await administrator(world.cloud);
      first.name = (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors[0].hypervisor_hostname;
      await ensurePublicGuest(world.cloud);
      tenant = await Tenant.create(world.cloud, { cidr4: '10.71.0.0/24', cidr6: 'fd00:71::/64' });
      for (const machine of [second, third]) await world.join(machine);
      const extra_specs = { replication_enabled: '<is> True', 'bothy:replication_rpo_seconds': '20' };
      await admin.must('POST', 'block-storage', '/types', { volume_type: { name: 'replicated', extra_specs } });
      // The first volume goes to the second machine, and its replica to the first one.
      const wish = { name: 'second', availability_zone: 'second' };
      const { aggregate } = await admin.must('POST', 'compute', '/os-aggregates', { aggregate: wish });
      const host = second.name;
      await admin.must('POST', 'compute', `/os-aggregates/${aggregate.id}/action`, { add_host: { host } });
      const { images } = await tenant.client.must('GET', 'image', '/v2/images?name=guest');
      await pools(third, false);
      root = await make({ imageRef: images[0].id, availability_zone: 'second' });
      await pools(third, true);
      server = await tenant.create('from-volume', {
        imageRef: '',
        block_device_mapping_v2: [
          {
            boot_index: 0,
            uuid: root,
            source_type: 'volume',
            destination_type: 'volume',
            delete_on_termination: false,
          },
        ],
      });
      await tenant.active(server, 300_000);
      assert.equal((await show())['OS-EXT-SRV-ATTR:host'], second.name);
      await tenant.client.native('PUT', `/servers/${server}/evacuation-policy`, {
        evacuation_policy: { restart: 'elsewhere' },
      });
      await pools(first, false);
      data = await make({}, { local_to_instance: server });
      await until('its replica', async () => (await replicaOf(data)).status === 'enabled', 120_000).catch(told);
      await pools(first, true);
    },
    { timeout: 900_000 },
  );
  after(
    async () => {
      tenant?.abandon();
      admin?.close();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 240_000 },
  );

  test('a volume’s replica goes to where that of its server’s first one is', { timeout: 300_000 }, async (t) => {
    assert.deepEqual([(await replicaOf(root)).host, (await replicaOf(data)).host], [first.name, third.name]);
    const volumeAttachment = { volumeId: data };
    await tenant.client.must('POST', 'compute', `/servers/${server}/os-volume_attachments`, { volumeAttachment });
    const began = performance.now();
    await until('both to be on one machine', async () => (await replicaOf(data)).host === first.name, 180_000).catch(
      told,
    );
    t.diagnostic(`${((performance.now() - began) / 1000).toFixed(1)} s after it was attached`);
    assert.equal((await replicaOf(data)).status, 'enabled');
  });

  test('a machine that is lost leaves its guest’s root and data of one moment', { timeout: 600_000 }, async (t) => {
    const shell = await second.shellOf(server);
    const device = await deviceIn(shell, data);
    await shell.run('printf %010d 0 >/root/n; sync');
    await shell.run(
      `(i=1; while :; do printf %010d $i | dd of=/root/n conv=notrunc,fsync 2>/dev/null; printf %04096d $i | dd of=/dev/${device} bs=4096 seek=$((i % 64)) conv=notrunc,fsync 2>/dev/null || exit 1; echo $i >/dev/shm/at-new; mv /dev/shm/at-new /dev/shm/at; i=$((i + 1)); done) </dev/null >/dev/null 2>&1 &`,
    );
    const { rounds } = await replicaOf(data);
    await until('some rounds', async () => (await replicaOf(data)).rounds >= rounds + 4, 180_000).catch(told);
    const { survival } = await admin.native('GET', `/survival/host/${second.name}`);
    const fate = survival.servers.find((each: { server_id: string }) => each.server_id === server);
    assert.ok(fate.replica_moment, JSON.stringify(fate));
    const last = Number(/^\d+$/m.exec(await shell.run('cat /dev/shm/at'))![0]);
    const killedMs = Date.now();
    second.signal('SIGKILL');
    shell.close();
    await until(
      'it to run on the one with the replicas',
      async () => {
        const { status, 'OS-EXT-SRV-ATTR:host': host } = await show();
        return status === 'ACTIVE' && host === first.name;
      },
      120_000,
      200,
    );
    const seconds = (Date.now() - killedMs) / 1000;
    const again = await first.shellOf(server);
    const inRoot = Number(/^\d{10}$/m.exec(await again.run('cat /root/n; echo'))![0]);
    const found = recordsIn(await again.run(readRecords(await deviceIn(again, data))));
    again.close();
    const onData = Math.max(...found);
    t.diagnostic(
      `ACTIVE ${seconds.toFixed(1)} s after the kill; of ${last} records ${inRoot} in its root, ${onData} on the other`,
    );
    assert.ok(seconds < 30, `${seconds} s`);
    assertPrefix(found, { told: 1, name: 'data' });
    assert.ok(onData <= inRoot && inRoot <= onData + 1, 'of one moment');
  });
});
