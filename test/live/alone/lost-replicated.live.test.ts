/**
 * A machine of two is killed whole, or its host process is frozen, while a guest on it writes numbered records to two replicated volumes. Its server runs on the other one within 30 s, with an
 * exact prefix of what was written, of one moment on both, and not older than was promised. The machine that comes back merges nothing, runs nothing and has the replicas.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { databaseUrlOf } from '../../../cli/cloud/database-url.ts';
import { loadSettings } from '../../../cli/settings.ts';
import { assertPrefix } from '../../support/exact-prefix.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import type { GuestShell } from '../../support/guest-shell.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { bothy, notLive, until } from '../../support/live-cloud.ts';
import { deviceIn } from '../../support/numbered-sequence.ts';
import type { OpenStack } from '../../support/openstack.ts';
import {
  beginPairs,
  readRecords,
  recordBlocks,
  recordsIn,
  recordsOfBytes,
  writeRecords,
} from '../../support/paired-records.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

const rpoSeconds = 20;

for (const how of ['killed', 'frozen'] as const)
  describe(`a machine that is ${how} with replicated volumes`, { skip: notLive, concurrency: 1 }, () => losing(how));

function stands(pid: number): boolean {
  try {
    return /\) [TZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

function losing(how: 'killed' | 'frozen'): void {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let second: JoinedMachine;
  let admin: OpenStack;
  let tenant: Tenant;
  let server: string;
  let volumes: [string, string];
  /** Of the guest that runs again. */
  let later: GuestShell;
  /** What was on the volumes then. */
  let found: number[][];

  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by assertions, not by types
  type Body = any;
  const show = async () => (await admin.must('GET', 'compute', `/servers/${server}`)).server;
  const replicaOf = async (id: string): Promise<Body> => (await admin.native('GET', `/volumes/${id}/replica`)).replica;
  const enable = (host: string, enabled: boolean) =>
    admin.must('PUT', 'compute', `/os-services/${enabled ? 'enable' : 'disable'}`, { host, binary: 'nova-compute' });
  const qemuOf = (machine: JoinedMachine) =>
    machine
      .processes()
      .filter(
        ({ pid, program }) =>
          /qemu-system/.test(program) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(server),
      );
  /** Those whose guest does not stand still. */
  const running = (machine: JoinedMachine) => qemuOf(machine).filter(({ pid }) => !stands(pid));
  const isHost = ({ pid, program }: { pid: number; program: string }) =>
    /node$/.test(program) && !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('watchdog');

  async function rows(query: string, values: unknown[]): Promise<Body[]> {
    const client = new pg.Client({ connectionString: databaseUrlOf(loadSettings(first.data, {})) });
    await client.connect();
    try {
      return (await client.query(query, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** One of its names: who opens it has another. */
  const fileOf = async (machine: JoinedMachine, layerId: string): Promise<string | undefined> =>
    (await machine.must('find', machine.data, '-name', `${layerId}.qcow2`)).trim().split('\n')[0] || undefined;

  /** As the files' own headers say, read by nobody of ours. */
  async function chainOf(machine: JoinedMachine, layerId: string): Promise<object> {
    const filename = await fileOf(machine, layerId);
    assert.ok(filename, `layer ${layerId} is on ${machine.name}`);
    const info = JSON.parse(execFileSync('qemu-img', ['info', '-U', '--output=json', filename], { encoding: 'utf8' }));
    const below = /^layer:(.+)$/.exec(info['backing-filename'] ?? '')?.[1];
    const file = { driver: 'file', filename };
    return { driver: 'qcow2', file, backing: below === undefined ? null : await chainOf(machine, below) };
  }

  before(
    async () => {
      world = await JoinedMachines.start(2);
      [first, second] = world.machines as [JoinedMachine, JoinedMachine];
      admin = await administrator(world.cloud);
      first.name = (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors[0].hypervisor_hostname;
      await ensurePublicGuest(world.cloud);
      tenant = await Tenant.create(world.cloud, { cidr4: '10.70.0.0/24', cidr6: 'fd00:70::/64' });
      await world.join(second);
      const extra_specs = {
        replication_enabled: '<is> True',
        'bothy:replication_rpo_seconds': String(rpoSeconds),
      };
      await admin.must('POST', 'block-storage', '/types', { volume_type: { name: 'replicated', extra_specs } });
      await enable(first.name, false);
      server = await tenant.create('writer');
      await tenant.active(server, 300_000);
      await enable(first.name, true);
      assert.equal((await show())['OS-EXT-SRV-ATTR:host'], second.name);
      const make = async () => {
        const wish = { size: 1, volume_type: 'replicated' };
        const { volume } = await tenant.client.must('POST', 'block-storage', '/volumes', {
          volume: wish,
          'OS-SCH-HNT:scheduler_hints': { local_to_instance: server },
        });
        return volume.id as string;
      };
      volumes = [await make(), await make()];
      for (const id of volumes) {
        await until('the volume to be there', async () => {
          const { volume } = await tenant.client.must('GET', 'block-storage', `/volumes/${id}`);
          assert.notEqual(volume.status, 'error', JSON.stringify(volume));
          return volume.status === 'available';
        });
        const volumeAttachment = { volumeId: id };
        await tenant.client.must('POST', 'compute', `/servers/${server}/os-volume_attachments`, { volumeAttachment });
      }
      await tenant.client.native('PUT', `/servers/${server}/evacuation-policy`, {
        evacuation_policy: { restart: 'elsewhere', disk: 'from_image' },
      });
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      later?.close();
      second?.signal('SIGCONT', isHost);
      tenant?.abandon();
      admin?.close();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 180_000 },
  );

  test('its server runs on the other within 30 s, with all that was written until a moment that is not older than was promised', {
    timeout: 600_000,
  }, async (t) => {
    const shell = await second.shellOf(server);
    const devices = [await deviceIn(shell, volumes[0]), await deviceIn(shell, volumes[1])] as const;
    await shell.run(beginPairs(devices));
    /** What both disks had said they have, and when that was known; later ones last. */
    const told: { number: number; atMs: number }[] = [];
    const look = async () =>
      told.push({ number: Number(/^\d+$/m.exec(await shell.run('cat /tmp/at || echo 0'))![0]), atMs: Date.now() });
    await until(
      'some rounds',
      async () => {
        await look();
        const known = await Promise.all(volumes.map(replicaOf));
        return known.every(({ rounds, status }) => rounds >= 4 && status === 'enabled');
      },
      240_000,
    ).catch(async (error) => {
      throw new Error(`${error.message}: ${JSON.stringify(await Promise.all(volumes.map(replicaOf)))}`);
    });
    // The worst moment: what is being copied is not there yet.
    await until(
      'a round to be under way',
      async () => {
        await look();
        return (await replicaOf(volumes[0])).round !== null;
      },
      60_000,
      100,
    );
    const before = await Promise.all(volumes.map(replicaOf));
    const { survival } = await admin.native('GET', `/survival/host/${second.name}`);
    const fate = survival.servers.find((each: { server_id: string }) => each.server_id === server);
    assert.ok(fate.to_host_id && fate.replica_moment, JSON.stringify(fate));
    await look();
    const lostMs = Date.now();
    if (how === 'killed') second.signal('SIGKILL');
    else second.signal('SIGSTOP', isHost);
    shell.close();
    await until(
      'it to run on the other',
      async () => {
        const { status, 'OS-EXT-SRV-ATTR:host': host } = await show();
        return status === 'ACTIVE' && host === first.name;
      },
      120_000,
      200,
    );
    const seconds = (Date.now() - lostMs) / 1000;
    t.diagnostic(`ACTIVE ${seconds.toFixed(1)} s after the loss`);
    assert.ok(seconds < 30, `${seconds} s`);
    later = await first.shellOf(server);
    found = [];
    for (const id of volumes) found.push(recordsIn(await later.run(readRecords(await deviceIn(later, id)))));
    const [{ evidence }] = await rows('select evidence from server_migration where server_id = $1', [server]);
    const promised = new Map<string, { as_of: string; age_seconds: number }>(
      evidence.replicas.map((each: { volume_id: string }) => [each.volume_id, each]),
    );
    const lasts = found.map((numbers) => Math.max(...numbers));
    assert.ok(evidence.replicas_moment >= fate.replica_moment, JSON.stringify(evidence));
    for (const [n, id] of volumes.entries()) {
      const last = lasts[n]!;
      const asOfMs = Date.parse(promised.get(id)!.as_of);
      const least = told.findLast(({ atMs }) => atMs <= asOfMs)?.number ?? 0;
      assertPrefix(found[n]!, { told: least, name: id });
      // The last one was written after this look.
      const { atMs } = told.findLast(({ number }) => number < last)!;
      const age = (lostMs - atMs) / 1000;
      const { age_seconds, rpo_seconds } = before[n]!;
      t.diagnostic(
        `of ${told.at(-1)!.number} records ${last} are there, the last one at most ${age.toFixed(1)} s before the loss; told: ${age_seconds.toFixed(1)} s, promised ${rpo_seconds} s`,
      );
      assert.equal(rpo_seconds, rpoSeconds);
      assert.ok(age <= rpo_seconds, `${age} s`);
      assert.ok(last < told.at(-1)!.number, 'something was lost, or this shows nothing');
    }
    const [one, other] = lasts as [number, number];
    assert.ok(other <= one && one <= other + 1, `of one moment: ${one}, ${other}`);
  });

  test('the machine that comes back merges nothing and runs nothing, and has the replicas', {
    timeout: 400_000,
  }, async (t) => {
    const former = (
      await rows(
        `select l.id from volume_layer l join host h on h.id = l.host_id
        where l.volume_id = any($1) and h.name = $2 and l.desired_presence = 'present'`,
        [volumes, second.name],
      )
    ).map(({ id }) => id);
    // A host that is frozen may not have made the newest ones.
    const paths = (await Promise.all(former.map((id) => fileOf(second, id)))).filter((path) => path !== undefined);
    assert.ok(paths.length >= volumes.length, 'what the volumes held is there');
    const held = paths.map((path) => ({ path, mtimeMs: statSync(path).mtimeMs }));
    const began = performance.now();
    if (how === 'killed') await second.must(bothy, 'up', '--detach', '--data', second.data);
    else second.signal('SIGCONT', isHost);
    await until(
      'the replicas to be on it',
      async () => {
        assert.deepEqual(running(second), []);
        for (const { path, mtimeMs } of held)
          assert.equal(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? mtimeMs, mtimeMs, 'nobody writes to it');
        const known = await Promise.all(volumes.map(replicaOf));
        return known.every(
          ({ status, host, former_kept }) => status === 'enabled' && host === second.name && !former_kept,
        );
      },
      240_000,
    ).catch(async (error) => {
      throw new Error(`${error.message}: ${JSON.stringify(await Promise.all(volumes.map(replicaOf)))}`);
    });
    t.diagnostic(`whole replicas ${((performance.now() - began) / 1000).toFixed(1)} s after its start began`);
    for (const id of former)
      await until('what the volumes held there to be gone', async () => (await fileOf(second, id)) === undefined);
    assert.deepEqual([qemuOf(second).length, running(first).length], [0, 1]);
    // Other records at the same places: what was lost must not come up between them.
    const [volume] = volumes;
    const device = await deviceIn(later, volume);
    const more = Array.from({ length: 8 }, (_, n) => recordBlocks * 1000 + Math.max(...found[0]!) + 1 + n);
    const expected = found[0]!.map((number, at) => more.find((each) => each % recordBlocks === at) ?? number);
    await later.run(writeRecords(device, more));
    assert.deepEqual(recordsIn(await later.run(readRecords(device))), expected);
    await until(
      'the replica to have all of it',
      async () => {
        const [{ layer_id: layerId }] = await rows('select layer_id from volume_replica where volume_id = $1', [
          volume,
        ]);
        const to = `${second.data}/read.raw`;
        const node = `json:${JSON.stringify(await chainOf(second, layerId))}`;
        execFileSync('qemu-img', [
          'dd',
          '-U',
          '-O',
          'raw',
          'bs=4096',
          `count=${recordBlocks}`,
          `if=${node}`,
          `of=${to}`,
        ]);
        const records = recordsOfBytes(readFileSync(to));
        rmSync(to);
        return JSON.stringify(records) === JSON.stringify(expected);
      },
      120_000,
    );
  });
}
