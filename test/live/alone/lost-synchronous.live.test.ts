/**
 * Volumes with a second copy that each write waits for (replication_type='<in> sync'), on two machines. The copy's daemon is frozen: the guest goes on after some seconds, the volume is told
 * as out of sync, and it is in sync again by itself. Then the guest's machine is killed whole: all that the guest was told is written is there. Where it is lost while they are out of sync, what
 * is there is not passed as in sync.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertPrefix } from '../../support/exact-prefix.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import type { GuestShell } from '../../support/guest-shell.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import { deviceIn } from '../../support/numbered-sequence.ts';
import type { OpenStack } from '../../support/openstack.ts';
import { beginPairs, readRecords, recordsIn } from '../../support/paired-records.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

/** So long the guest may wait for a copy that does not answer: the watchdog's seconds, and as long again for a busy machine. */
const waitsMs = 20_000;

for (const when of ['in sync', 'out of sync'] as const)
  describe(
    `a machine that is lost while its volumes’ second copies are ${when}`,
    { skip: notLive, concurrency: 1 },
    () => losing(when),
  );

function losing(when: 'in sync' | 'out of sync'): void {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let second: JoinedMachine;
  let admin: OpenStack;
  let tenant: Tenant;
  let server: string;
  let volumes: [string, string];
  let plain: string;
  let shell: GuestShell;

  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by assertions, not by types
  type Body = any;
  const show = async () => (await admin.must('GET', 'compute', `/servers/${server}`)).server;
  const replicaOf = async (id: string): Promise<Body> => (await admin.native('GET', `/volumes/${id}/replica`)).replica;
  const known = () => Promise.all(volumes.map(replicaOf));
  const told = async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await known())}`, { cause: error });
  };
  const inSync = (deadlineMs: number) =>
    until('the copies to be in sync', async () => (await known()).every((each) => each.in_sync), deadlineMs).catch(
      told,
    );
  const enable = (host: string, enabled: boolean) =>
    admin.must('PUT', 'compute', `/os-services/${enabled ? 'enable' : 'disable'}`, { host, binary: 'nova-compute' });
  /** The daemons that take the copies' writes. */
  const daemons = ({ pid, program }: { pid: number; program: string }) =>
    /qemu-storage-daemon$/.test(program) && /receivers/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  const reached = async () => Number(/^\d+$/m.exec(await shell.run('cat /tmp/at || echo 0'))![0]);

  async function make(volume_type: string | undefined): Promise<string> {
    const { volume } = await tenant.client.must('POST', 'block-storage', '/volumes', {
      volume: { size: 1, ...(volume_type && { volume_type }) },
      'OS-SCH-HNT:scheduler_hints': { local_to_instance: server },
    });
    const { id } = volume;
    await until('the volume to be there', async () => {
      const shown = (await tenant.client.must('GET', 'block-storage', `/volumes/${id}`)).volume;
      assert.notEqual(shown.status, 'error', JSON.stringify(shown));
      return shown.status === 'available';
    });
    await tenant.client.must('POST', 'compute', `/servers/${server}/os-volume_attachments`, {
      volumeAttachment: { volumeId: id },
    });
    return id;
  }

  before(
    async () => {
      world = await JoinedMachines.start(2);
      [first, second] = world.machines as [JoinedMachine, JoinedMachine];
      admin = await administrator(world.cloud);
      first.name = (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors[0].hypervisor_hostname;
      await ensurePublicGuest(world.cloud);
      tenant = await Tenant.create(world.cloud, { cidr4: '10.73.0.0/24', cidr6: 'fd00:73::/64' });
      await world.join(second);
      const extra_specs = { replication_enabled: '<is> True', replication_type: '<in> sync' };
      await admin.must('POST', 'block-storage', '/types', { volume_type: { name: 'synchronous', extra_specs } });
      await enable(first.name, false);
      server = await tenant.create('writer');
      await tenant.active(server, 300_000);
      await enable(first.name, true);
      assert.equal((await show())['OS-EXT-SRV-ATTR:host'], second.name);
      volumes = [await make('synchronous'), await make('synchronous')];
      await tenant.client.native('PUT', `/servers/${server}/evacuation-policy`, {
        evacuation_policy: { restart: 'elsewhere', disk: 'from_image' },
      });
      shell = await second.shellOf(server);
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      shell?.close();
      tenant?.abandon();
      admin?.close();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 240_000 },
  );

  test('its volumes come to be in sync while the guest writes', { timeout: 400_000 }, async (t) => {
    const devices = [await deviceIn(shell, volumes[0]), await deviceIn(shell, volumes[1])] as const;
    await shell.run(beginPairs(devices));
    const began = performance.now();
    await inSync(240_000);
    t.diagnostic(`in sync ${((performance.now() - began) / 1000).toFixed(1)} s after it began to write`);
    const [one] = await known();
    assert.deepEqual([one.status, one.synchronous, one.host], ['enabled', true, first.name]);
    const { volume } = await tenant.client.must('GET', 'block-storage', `/volumes/${volumes[0]}`);
    assert.equal(volume.replication_status ?? 'enabled', 'enabled');
  });

  if (when === 'in sync')
    test('what a synced write of 4 KiB takes with a second copy, and without', {
      timeout: 300_000,
    }, async (t) => {
      await shell.run('touch /tmp/enough; sleep 1');
      plain = await make(undefined);
      const msOf = async (id: string) => {
        const device = await deviceIn(shell, id);
        const stat = async () =>
          /STAT ([\d ]+)/
            .exec(await shell.run(`echo STAT $(cat /sys/block/${device}/stat)`))![1]!
            .split(' ')
            .map(Number);
        const before = await stat();
        await shell.run(
          `for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do dd if=/dev/zero of=/dev/${device} bs=4096 count=1 seek=$((1000 + i)) conv=notrunc,fsync 2>/dev/null; done`,
        );
        const after = await stat();
        const [writes, ticks, flushes, flushTicks] = [4, 7, 15, 16].map((at) => (after[at] ?? 0) - (before[at] ?? 0));
        assert.ok(writes! >= 30, String(writes));
        t.diagnostic(`${id}: ${writes} writes ${ticks} ms, ${flushes} flushes ${flushTicks} ms`);
        return (ticks! + flushTicks!) / writes!;
      };
      const [alone, copied]: [number[], number[]] = [[], []];
      // By turns: others are busy on the machine.
      for (let n = 0; n < 3; n++) {
        alone.push(await msOf(plain));
        copied.push(await msOf(volumes[0]));
      }
      const middle = (all: number[]) => all.toSorted((x, y) => x - y)[1]!;
      const [one, two] = [middle(alone), middle(copied)];
      t.diagnostic(
        `${one.toFixed(2)} ms alone, ${two.toFixed(2)} ms with a second copy: ${(two / one).toFixed(2)} times`,
      );
      await tenant.client.must('DELETE', 'compute', `/servers/${server}/os-volume_attachments/${plain}`);
      await until('it to be let go of', async () => {
        return (await tenant.client.must('GET', 'block-storage', `/volumes/${plain}`)).volume.status === 'available';
      });
      const devices = [await deviceIn(shell, volumes[0]), await deviceIn(shell, volumes[1])] as const;
      await shell.run(beginPairs(devices));
    });

  test('a copy that is frozen holds the guest up for some seconds, and then it goes on alone, which is told', {
    timeout: 300_000,
  }, async (t) => {
    const atFirst = await reached();
    await until('it to write', async () => (await reached()) > atFirst);
    first.signal('SIGSTOP', daemons);
    const frozenMs = Date.now();
    await until('it to be told', async () => (await known()).some(({ in_sync }) => !in_sync), 60_000, 200).catch(told);
    const toldMs = Date.now() - frozenMs;
    const last = await reached();
    await until('the guest to go on', async () => (await reached()) > last, 60_000, 200).catch(told);
    // The host's own word, of the last of both: a guest's shell is slow to ask.
    const alone = readFileSync(join(second.data, 'log/host.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('written to without its second copy'))
      .map((line) => JSON.parse(line).time as number);
    const wentOnMs = Math.max(...alone) - frozenMs;
    t.diagnostic(
      `told after ${(toldMs / 1000).toFixed(1)} s, QEMU let the guest go on after ${(wentOnMs / 1000).toFixed(1)} s`,
    );
    assert.ok(wentOnMs > 0 && wentOnMs < waitsMs, `${wentOnMs} ms`);
    const stopped = (await known()).filter(({ in_sync }) => !in_sync);
    for (const { status, problem } of stopped) {
      assert.equal(status, 'error');
      assert.match(problem, /second copy/);
    }
    const asked = await tenant.client.call('GET', 'block-storage', '/messages', undefined, {
      'OpenStack-API-Version': 'volume 3.70',
    });
    const words = asked.body.messages.map(({ user_message }: Body) => user_message);
    assert.ok(
      words.some((each: string) => /second copy/.test(each)),
      JSON.stringify(words),
    );
    if (when === 'out of sync') return;
    const began = performance.now();
    await inSync(180_000);
    t.diagnostic(
      `in sync again ${((performance.now() - began) / 1000).toFixed(1)} s later, with the old daemons still frozen`,
    );
    first.signal('SIGCONT', daemons);
  });

  test(when === 'in sync'
    ? 'the other machine has all that the guest was told is written'
    : 'what the other machine has is not passed as in sync, and is exact', { timeout: 400_000 }, async (t) => {
    if (when === 'in sync') await inSync(120_000);
    const fates = await known();
    // What the guest says on its serial port its QEMU writes down at once.
    await shell.run('(while :; do echo "acked $(cat /tmp/at) ."; done) >/dev/console 2>/dev/null </dev/null &');
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const lostMs = Date.now();
    second.signal('SIGKILL');
    const log = (await second.must('find', second.data, '-name', 'console.log', '-path', `*${server}*`)).trim();
    const acked = Number([...readFileSync(log, 'latin1').matchAll(/acked (\d+) \./g)].at(-1)![1]);
    shell.close();
    await until(
      'it to run on the other',
      async () => {
        const { status, 'OS-EXT-SRV-ATTR:host': host } = await show();
        return status === 'ACTIVE' && host === first.name;
      },
      120_000,
      200,
    ).catch(told);
    t.diagnostic(`ACTIVE ${((Date.now() - lostMs) / 1000).toFixed(1)} s after the loss`);
    shell = await first.shellOf(server);
    const lasts: number[] = [];
    for (const id of volumes) {
      const found = recordsIn(await shell.run(readRecords(await deviceIn(shell, id))));
      assertPrefix(found, { told: when === 'in sync' ? acked : 1, name: id });
      lasts.push(Math.max(...found));
    }
    t.diagnostic(`the guest had been told of ${acked} records, ${lasts.join(' and ')} are there`);
    if (when === 'in sync') assert.ok(lasts[1]! <= lasts[0]! && lasts[0]! <= lasts[1]! + 1, 'of one moment');
    else {
      assert.ok(
        fates.some(({ in_sync }) => !in_sync),
        JSON.stringify(fates),
      );
      assert.ok(Math.min(...lasts) < acked, 'something was lost, or this shows nothing');
    }
  });
}
