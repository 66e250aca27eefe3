/**
 * Volumes for machines outside, by the real Host with real tgtd and qemu-storage-daemon; the machine outside is a userspace initiator
 * (libiscsi, and QEMU's own).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredExport, DesiredLayer, ObservedExport, ObservedLayer } from '../../contract/host/index.ts';
import { chapSecretOf } from '../../contract/host/index.ts';
import {
  type AttachmentId,
  type LayerId,
  newId,
  newOrderedId,
  type VolumeId,
  type VolumeKeyId,
} from '../../contract/ids.ts';
import { identifyProcess } from '../../engine/process-identity.ts';
import { type Host, qemuMachine } from '../../host/index.ts';
import { type HostWorld, hostWorld } from '../support/host-world.ts';
import { loggedIn as anybodyLoggedIn, io as anybodysIo, noInitiator } from '../support/iscsi-initiator.ts';
import { until } from '../support/until.ts';

const options = { skip: noInitiator, timeout: 180_000 };
const uids = { first: 0x6fff_a000, count: 64 };
const initiator = 'iqn.2004-10.com.example:machine-1';
const told = '0123456789abcdef'.repeat(4);
const secret = chapSecretOf(told);
const portal = { address: '127.0.0.1', first: 23260, last: 23263 };

class Outside {
  readonly world: HostWorld;
  #real: Awaited<ReturnType<typeof qemuMachine>> | undefined;

  constructor(world: HostWorld) {
    this.world = world;
  }

  async host(): Promise<Host> {
    const { directory } = this.world;
    const configuration = {
      ...({ guests: { uid: 64055, gid: 64055, uids }, accelerator: 'tcg', durable: true } as const),
      storage: { iscsiPortal: portal },
    };
    const base = { dataDirectory: join(directory, 'data'), runDirectory: join(directory, 'run') };
    this.#real ??= await qemuMachine({ ...base, ...configuration });
    const host = this.world.host({ configuration, dependencies: this.#real });
    await host.start();
    return host;
  }

  /** A layer that is made, and whoever shall have it. */
  async want(layer: DesiredLayer, wish: Partial<DesiredLayer>): Promise<DesiredLayer> {
    const { export: _, ...rest } = layer;
    const next = { ...rest, ...wish, generation: layer.generation + 1 };
    this.world.control.wantLayer(next);
    await this.seen(next.id, next.generation, ({ state, step }) => state === 'ready' && step === null);
    return next;
  }

  seen(id: LayerId, generation: number, holds: (seen: ObservedLayer) => boolean): Promise<ObservedLayer> {
    return this.world.control.untilLayer(id, 'served', (seen) => seen.generation === generation && holds(seen));
  }

  async exported(layer: DesiredLayer, wish: DesiredExport): Promise<{ layer: DesiredLayer; at: ObservedExport }> {
    const next = await this.want(layer, { export: wish });
    const { export: at } = await this.seen(next.id, next.generation, (seen) => seen.export !== undefined);
    return { layer: next, at: at! };
  }

  wish(over: Partial<DesiredExport> = {}): DesiredExport {
    const secretId = newId<VolumeKeyId>();
    this.world.control.keys.set(secretId, told);
    return { id: newId<AttachmentId>(), initiator, user: 'machine', secretId, port: 23260, readOnly: false, ...over };
  }
}

const newLayer = (over: Partial<DesiredLayer> = {}): DesiredLayer => ({
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 0, presence: 'present' },
  ...{ pool: 'local', sizeBytes: 64 * 2 ** 20, parentId: null, image: null, readOnly: false, ...over },
});

const address = ({ portal: at, iqn, lun }: ObservedExport, password = secret) =>
  `iscsi://machine%${password}@${at}/${iqn}/${lun}`;

const io = (at: ObservedExport, commands: string[], { name = initiator, readOnly = false } = {}): Promise<string> =>
  anybodysIo({ ...at, user: 'machine', secret }, name, commands, { readOnly });
const loggedIn = (url: string, name = initiator) => anybodyLoggedIn(url, name);

const processesOf = () =>
  readdirSync('/proc').flatMap((entry) => {
    const found = /^\d+$/.test(entry) ? identifyProcess(Number(entry)) : undefined;
    return found?.uid !== undefined && found.uid > uids.first && found.uid < uids.first + uids.count ? [found] : [];
  });

const programs = () => processesOf().map(({ program }) => program);

function assertNothingLeft({ world: { directory } }: Outside): void {
  assert.deepEqual(programs(), []);
  assert.deepEqual(readdirSync(join(directory, 'data/exports')), []);
  assert.deepEqual(readdirSync(join(directory, 'run/exports')), []);
  assert.equal(readFileSync('/proc/self/mounts', 'utf8').includes('run/disk'), false);
}

async function outside(t: TestContext): Promise<Outside> {
  const world = await hostWorld(t);
  execFileSync('chmod', ['755', world.directory]);
  t.after(() => {
    for (const { pid } of processesOf()) process.kill(pid, 'SIGKILL');
  });
  return new Outside(world);
}

test(
  'one machine outside reads and writes a volume, nobody else gets in, and it ends with the attachment',
  options,
  async (t) => {
    const all = await outside(t);
    await all.host();
    let layer = await all.want(newLayer(), {});
    const exported = await all.exported(layer, all.wish());
    const { at } = exported;
    ({ layer } = exported);
    assert.equal(at.portal, '127.0.0.1:23260');
    assert.equal(at.iqn, `iqn.2010-10.org.openstack:volume-${layer.volumeId}`);
    await io(at, ['write -P 7 1M 64k', 'flush', 'read -P 7 1M 64k', 'discard 2M 64k']);
    assert.equal(await loggedIn(address(at)), true);
    assert.equal(await loggedIn(address(at), 'iqn.2004-10.com.example:machine-2'), false, 'another initiator');
    assert.equal(await loggedIn(address(at, secret.toLowerCase().padEnd(17, 'x'))), false, 'another secret');
    assert.equal(await loggedIn(`iscsi://${at.portal}/${at.iqn}/${at.lun}`), false, 'no secret');
    const commands = processesOf()
      .map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
      .join();
    assert.equal(commands.includes(secret), false, 'nobody sees the secret');
    assert.equal(execFileSync('sh', ['-c', `grep -rlaF '${secret}' ${all.world.directory} || true`]).toString(), '');

    // Limits of its type come, change and go while the machine has it: 4 MiB at 1 MiB a second take three at least, after what is free at first.
    const before = processesOf().map(({ pid }) => pid);
    const limited = { bps: 2 ** 20, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
    const tookMs = async () => {
      const begun = performance.now();
      await io(at, ['write -P 7 4M 2M', 'write -P 7 6M 2M', 'write -P 7 1M 64k', 'flush']);
      return performance.now() - begun;
    };
    layer = await all.want(layer, { export: { ...exported.layer.export!, limits: limited } });
    const slow = await tookMs();
    assert.ok(slow > 2500, `${slow} ms`);
    layer = await all.want(layer, { export: { ...exported.layer.export!, limits: { ...limited, bps: 2 ** 30 } } });
    assert.ok((await tookMs()) < slow / 2);
    const burst = { ...limited, bps_max: 2 ** 23 };
    layer = await all.want(layer, { export: { ...exported.layer.export!, limits: burst } });
    assert.ok((await tookMs()) < slow / 2, 'what it may do after a quiet time');
    layer = await all.want(layer, { export: exported.layer.export! });
    assert.deepEqual(
      processesOf().map(({ pid }) => pid),
      before,
      'the same processes',
    );

    layer = await all.want(layer, {});
    await all.seen(layer.id, layer.generation, (seen) => seen.export === undefined);
    assert.equal(await loggedIn(address(at)), false, 'it has ended');
    assertNothingLeft(all);

    // To be read only, by another one.
    const other = 'iqn.2004-10.com.example:machine-2';
    const again = await all.exported(layer, all.wish({ initiator: other, readOnly: true }));
    assert.equal(await loggedIn(address(again.at)), false);
    await io(again.at, ['read -P 7 1M 64k'], { name: other, readOnly: true });
    await assert.rejects(io(again.at, ['write -P 8 1M 64k'], { name: other }));
    // Deleted while it is had: nothing is left.
    const { generation, id } = again.layer;
    all.world.control.wantLayer({ ...again.layer, generation: generation + 1, presence: 'absent' });
    await all.seen(id, generation + 1, ({ state }) => state === 'absent');
    assertNothingLeft(all);
  },
);

test(
  'the host process dies and comes back: the machine goes on; the daemons die: they come back',
  options,
  async (t) => {
    const all = await outside(t);
    const first = await all.host();
    const made = await all.want(newLayer(), {});
    const { at, layer } = await all.exported(made, all.wish());
    await io(at, ['write -P 9 0 1M', 'flush']);
    const before = processesOf().map(({ pid }) => pid);
    first.abandon();
    await io(at, ['read -P 9 0 1M', 'write -P 10 1M 64k', 'flush']);
    await all.host();
    await all.seen(layer.id, layer.generation, (seen) => seen.export !== undefined);
    assert.deepEqual(
      processesOf().map(({ pid }) => pid),
      before,
      'the same processes',
    );
    for (const program of ['tgtd', 'qemu-storage-daemon']) {
      const dying = processesOf().find((each) => each.program === program)!;
      process.kill(dying.pid, 'SIGKILL');
      await until(
        `another ${program}`,
        () => processesOf().some((each) => each.program === program && each.pid !== dying.pid),
        { timeoutMs: 20_000 },
      );
      await all.seen(layer.id, layer.generation, ({ export: now, step }) => now !== undefined && step === null);
      await until('the machine to be let in again', () => loggedIn(address(at)), { timeoutMs: 20_000 });
      await io(at, ['read -P 9 0 1M', 'read -P 10 1M 64k']);
    }
    await all.want(layer, {});
    assertNothingLeft(all);
  },
);
