/**
 * Volumes between servers of two machines, by Nova's attach alone: the volume comes to the server's machine from the other one, with its snapshot, while the
 * guest runs on; what one guest wrote the other one reads, byte for byte. The machines are network namespaces, as in join.live.test.ts.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cloudPaths } from '../../../cli/cloud-paths.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import type { GuestShell } from '../../support/guest-shell.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import type { OpenStack } from '../../support/openstack.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

interface Side {
  machine: JoinedMachine;
  server: string;
  shell: GuestShell;
}

describe('a volume that is attached to servers of two machines in turn', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let admin: OpenStack;
  let tenant: Tenant;
  let sides: [Side, Side];

  before(
    async () => {
      world = await JoinedMachines.start(2);
      const [first, second] = world.machines as [JoinedMachine, JoinedMachine];
      admin = await administrator(world.cloud);
      first.name = (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors[0].hypervisor_hostname;
      await ensurePublicGuest(world.cloud);
      tenant = await Tenant.create(world.cloud, { cidr4: '10.71.0.0/24', cidr6: 'fd00:71::/64' });
      const one = await guestOn(first, 'first 小屋');
      await world.join(second);
      await admin.must('PUT', 'compute', '/os-services/disable', { host: first.name, binary: 'nova-compute' });
      const other = await guestOn(second, 'second');
      await admin.must('PUT', 'compute', '/os-services/enable', { host: first.name, binary: 'nova-compute' });
      sides = [one, other];
    },
    { timeout: 900_000 },
  );
  after(
    async () => {
      for (const { shell } of sides ?? []) shell.close();
      tenant?.abandon();
      admin?.close();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 180_000 },
  );

  async function guestOn(machine: JoinedMachine, name: string): Promise<Side> {
    const server = await tenant.create(name);
    await tenant.active(server, 300_000);
    return { machine, server, shell: await machine.shellOf(server) };
  }

  const volumeOf = async (id: string) => (await admin.must('GET', 'block-storage', `/volumes/${id}`)).volume;
  const is = (id: string, status: string) =>
    until(
      `the volume to be ${status}`,
      async () => {
        const volume = await volumeOf(id);
        if (/^error/.test(volume.status)) throw new Error(JSON.stringify(volume));
        return volume.status === status;
      },
      120_000,
      200,
    );
  const hostOf = async (id: string): Promise<string> => (await volumeOf(id))['os-vol-host-attr:host'].split('@')[0];
  const filesOn = ({ machine }: Side) => readdirSync(join(machine.data, 'host/volumes/layers')).length;

  /** @returns where the guest has it, and for how long it was on its way, in ms */
  async function attach(side: Side, id: string): Promise<{ device: string; tookMs: number }> {
    const begun = performance.now();
    const path = `/servers/${side.server}/os-volume_attachments`;
    await tenant.client.must('POST', 'compute', path, { volumeAttachment: { volumeId: id } });
    await is(id, 'in-use');
    const tookMs = Math.round(performance.now() - begun);
    return { device: await deviceOf(side, id), tookMs };
  }
  async function deviceOf({ shell }: Side, id: string): Promise<string> {
    const serial = id.slice(0, 20);
    let device = '';
    await until(
      'the guest to have it',
      async () => {
        device = await shell.run(`grep -l ${serial} /sys/block/*/serial | cut -d/ -f4; true`);
        return /^vd[a-z]$/.test(device);
      },
      60_000,
      500,
    );
    return `/dev/${device}`;
  }
  async function detach({ server }: Side, id: string): Promise<void> {
    await tenant.client.must('DELETE', 'compute', `/servers/${server}/os-volume_attachments/${id}`);
    await is(id, 'available');
  }

  const write = ({ shell }: Side, device: string, atMiB: number) =>
    shell.run(`dd if=/dev/urandom of=${device} bs=1M count=32 seek=${atMiB} conv=fsync 2>/dev/null`, 120_000);
  const sum = ({ shell }: Side, device: string, atMiB: number) =>
    shell.run(`dd if=${device} bs=1M count=32 skip=${atMiB} 2>/dev/null | sha256sum | cut -c1-64`, 120_000);

  test('each guest reads what the other one wrote, and runs on meanwhile', { timeout: 900_000 }, async (t) => {
    const [one, other] = sides;
    const { volume } = await tenant.client.must('POST', 'block-storage', '/volumes', { volume: { size: 1 } });
    const { id } = volume;
    await is(id, 'available');
    if ((await hostOf(id)) !== other.machine.name) {
      const wish = { 'os-migrate_volume': { host: `${other.machine.name}@local` } };
      await admin.must('POST', 'block-storage', `/volumes/${id}/action`, wish);
      await until('it to be on the other machine', async () => (await hostOf(id)) === other.machine.name, 60_000);
      await is(id, 'available');
    }
    await one.shell.run('(i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.1; done) </dev/null >/dev/null 2>&1 &');
    const empty = await attach(one, id);
    t.diagnostic(`an empty one was in use after ${empty.tookMs} ms`);
    assert.equal(await hostOf(id), one.machine.name);
    assert.equal(filesOn(other), 0, 'nothing is left where it was');
    await write(one, empty.device, 0);
    const early = await sum(one, empty.device, 0);
    const { snapshot } = await tenant.client.must('POST', 'block-storage', '/snapshots', {
      snapshot: { volume_id: id, force: true },
    });
    await until(
      'the snapshot',
      async () =>
        (await admin.must('GET', 'block-storage', `/snapshots/${snapshot.id}`)).snapshot.status === 'available',
      60_000,
    );
    await write(one, empty.device, 64);
    const late = await sum(one, empty.device, 64);
    await detach(one, id);

    const there = await attach(other, id);
    t.diagnostic(`64 MiB in two layers were in use after ${there.tookMs} ms`);
    assert.deepEqual([await sum(other, there.device, 0), await sum(other, there.device, 64)], [early, late]);
    await until('nothing to be left where it was', async () => filesOn(one) === 0, 60_000);
    await write(other, there.device, 64);
    const latest = await sum(other, there.device, 64);
    await detach(other, id);

    const counted = Number(await one.shell.run('cat /tmp/n'));
    const back = await attach(one, id);
    t.diagnostic(`and back after ${back.tookMs} ms`);
    assert.deepEqual([await sum(one, back.device, 0), await sum(one, back.device, 64)], [early, latest]);
    assert.ok(Number(await one.shell.run('cat /tmp/n')) > counted, 'it ran on');
    await detach(one, id);
    await tenant.client.must('DELETE', 'block-storage', `/volumes/${id}?cascade=true`);
    await until('it to be gone', async () => filesOn(one) + filesOn(other) === 0, 60_000);
  });

  interface Way {
    kind: string;
    copied_bytes: number;
    total_bytes: number;
  }
  const wayOf = async (id: string): Promise<Way | null> =>
    (await tenant.client.native('GET', `/volumes/${id}/way`)).way;
  const kill = ({ data }: JoinedMachine, name: 'host' | 'control') =>
    process.kill(Number(readFileSync(join(cloudPaths(data).run, `${name}.pid`), 'utf8')), 'SIGKILL');
  /** Some of it is copied, and not all. */
  const onItsWay = async (id: string): Promise<Way> => {
    let way: Way | null = null;
    const isSo = async () => {
      way = await wayOf(id);
      return way !== null && way.copied_bytes > 0;
    };
    await until('part of it to be copied', isSo, 60_000, 20);
    return way!;
  };

  test('whoever is killed while it is copied, it comes; detached then, it stays whole', {
    timeout: 900_000,
  }, async (t) => {
    const [one, other] = sides;
    const { volume } = await tenant.client.must('POST', 'block-storage', '/volumes', { volume: { size: 1 } });
    const { id } = volume;
    await is(id, 'available');
    const { device } = await attach(one, id);
    const written = [0, 64, 128, 192, 256, 320];
    for (const at of written) await write(one, device, at);
    const sums = async (side: Side, of: string) => {
      const all: string[] = [];
      for (const at of written) all.push(await sum(side, of, at));
      return all;
    };
    const before = await sums(one, device);
    await detach(one, id);
    for (const [from, to, name, on] of [
      [one, other, 'host', 'target'],
      [other, one, 'host', 'source'],
      [one, other, 'control', 'first machine'],
    ] as const) {
      const path = `/servers/${to.server}/os-volume_attachments`;
      await tenant.client.must('POST', 'compute', path, { volumeAttachment: { volumeId: id } });
      const way = await onItsWay(id);
      kill(name === 'control' ? world.machines[0]! : on === 'target' ? to.machine : from.machine, name);
      t.diagnostic(`${name} of the ${on} is killed at ${way.copied_bytes} of ${way.total_bytes} bytes`);
      await until('it to be in use', async () => (await volumeOf(id).catch(() => null))?.status === 'in-use', 300_000);
      assert.deepEqual(await sums(to, await deviceOf(to, id)), before);
      await until('nothing to be left where it was', async () => filesOn(from) === 0, 60_000);
      await detach(to, id);
    }
    const path = `/servers/${one.server}/os-volume_attachments`;
    await tenant.client.must('POST', 'compute', path, { volumeAttachment: { volumeId: id } });
    await onItsWay(id);
    await detach(one, id);
    assert.equal(await hostOf(id), other.machine.name);
    await until('nothing to be left of the copy', async () => filesOn(one) === 0, 60_000);
    const { device: again } = await attach(other, id);
    assert.deepEqual(await sums(other, again), before);
    await detach(other, id);
  });
});
