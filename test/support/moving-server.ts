/** A server on two hosts under real QEMU, and control's part in its way between them, for live tests. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type ImageId, type MigrationId, newId } from '../../contract/ids.ts';
import { CarriedVolume, linkVolume } from './carried-volume.ts';
import { assertPrefix } from './exact-prefix.ts';
import { ensureGuestImage } from './guest-image.ts';
import { GuestShell } from './guest-shell.ts';
import { hostWorld, wantedServer } from './host-world.ts';
import { MovingSide } from './moving-side.ts';
import { until } from './until.ts';

/** Of the sequences in the guest. */
const blocks = 64;
/** In blocks of 4096 bytes: behind all that the image has. */
const places = {
  disk: { device: '/dev/vda', from: 131_072 },
  ephemeral0: { device: '/dev/vdb', from: 4096 },
  volume: { device: '/dev/volume', from: 4096 },
};
/** In the volume, from before its snapshot. */
const earlyAt = 8192;

export class MovingServer {
  readonly sides: [MovingSide, MovingSide];
  /** Which has it. */
  #here = 0;
  server: DesiredServer;
  readonly #volume: CarriedVolume;
  /** Of what was written to the volume before its snapshot. */
  #early = '';
  #shell: GuestShell | undefined;
  /** Somebody is logged in at its serial port. */
  #booted = false;

  private constructor(sides: [MovingSide, MovingSide], server: DesiredServer, volume: CarriedVolume) {
    this.sides = sides;
    this.server = server;
    this.#volume = volume;
  }

  /** It runs on the first and writes. */
  static async running(t: TestContext): Promise<MovingServer> {
    const first = await hostWorld(t);
    const second = await hostWorld(t, { authority: first.authority });
    const sides: [MovingSide, MovingSide] = [new MovingSide(first, 0), new MovingSide(second, 1)];
    t.after(async () => {
      for (const side of sides) await side.kill();
    });
    const image = {
      id: newId<ImageId>(),
      format: 'qcow2' as const,
      sizeBytes: 0,
      sha256: '' as string | null,
      sources: [],
    };
    const file = await ensureGuestImage();
    for (const { world } of sides) {
      chmodSync(world.directory, 0o755);
    }
    for (const side of sides) {
      await side.begin();
      const { client, endpoint } = side.world;
      const stored = await client.putImage(endpoint(), image.id, createReadStream(file), {
        format: 'qcow2',
        maxBytes: 2 ** 31,
      });
      image.sizeBytes = stored.sizeBytes;
      image.sha256 = stored.sha256;
    }
    const server: DesiredServer = {
      ...wantedServer(image as DesiredServer['image']),
      ...{ machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 3 }, ports: [], configDrive: true },
      ...{ memoryMiB: 256, diskGiB: 1, generation: 0, epoch: 1 },
      localDisks: [{ name: 'ephemeral0', sizeMiB: 64, format: 'ext4' }],
    };
    const volume = await CarriedVolume.on(first);
    const moving = new MovingServer(sides, server, volume);
    await moving.want({ volumes: [volume.document] }, 'running');
    const shell = await moving.shell();
    await shell.run('echo kept >/root/marker; sync; until [ -b /dev/vdb ]; do sleep 0.1; done');
    await linkVolume(shell, volume.document.id);
    await shell.run(
      `i=64; while [ $i -gt 0 ]; do printf %04096d $((i * 7919)); i=$((i - 1)); done | dd of=/dev/volume bs=4096 seek=${earlyAt} conv=notrunc,fsync 2>&1`,
    );
    moving.#early = await moving.#readEarly();
    await volume.freeze(first);
    await moving.want({ volumes: [volume.document] }, 'running');
    await moving.#write();
    return moving;
  }

  async #write(): Promise<void> {
    const shell = await this.shell();
    for (const [name, { device, from }] of Object.entries(places)) {
      await shell.run(
        `dd if=/dev/zero of=${device} bs=4096 seek=${from} count=${blocks} conv=notrunc,fsync 2>/dev/null; (i=1; while [ ! -e /tmp/enough ]; do printf %04096d $i | dd of=${device} bs=4096 seek=$((${from} + i % ${blocks})) conv=notrunc,fsync 2>/dev/null || break; echo $i >/tmp/at-${name}; i=$((i + 1)); done; touch /tmp/ended-${name}) </dev/null >/dev/null 2>&1 &`,
      );
    }
    await until('some blocks to be written', async () => (await this.written('ephemeral0')) > 5);
  }

  async #readEarly(): Promise<string> {
    return (await this.shell()).run(`dd if=/dev/volume bs=4096 count=64 skip=${earlyAt} 2>/dev/null | sha256sum`);
  }

  get here(): MovingSide {
    return this.sides[this.#here]!;
  }

  get there(): MovingSide {
    return this.sides[1 - this.#here]!;
  }

  written = async (name: keyof typeof places): Promise<number> =>
    Number(await (await this.shell()).run(`cat /tmp/at-${name} 2>/dev/null || echo 0`));

  async shell(): Promise<GuestShell> {
    const path = join(this.here.world.directory, 'run/guests', this.server.id, 'serial.sock');
    this.#shell ??= await (this.#booted ? GuestShell.again(path) : GuestShell.open(path));
    this.#booted = true;
    return this.#shell;
  }

  marker = async (): Promise<string> => (await this.shell()).run('cat /root/marker');

  /** On the side that has it. */
  async want(changes: Partial<DesiredServer>, state: ObservedServer['state']): Promise<void> {
    const { incoming: _in, outgoing: _out, ...server } = this.server;
    this.server = { ...server, ...changes, generation: this.server.generation + 1 };
    this.here.world.control.want(this.server);
    const { generation } = this.server;
    await this.here.world.control.until(
      this.server.id,
      state,
      (seen) => seen.state === state && seen.generation === generation,
    );
  }

  /** @returns for how long the guest stood still, in ms */
  async migrate(): Promise<number> {
    const { here, there } = this;
    await this.begin('live');
    await this.taken();
    const observed = here.world.control.observed.get(this.server.id)!;
    const downtimeMs = observed.outgoing!.downtimeMs!;
    await this.settle();
    return Math.round(there.at('server: taken over from another host')! - here.at('server: handed over')! + downtimeMs);
  }

  async migrateCold(): Promise<void> {
    await this.begin('cold');
    await this.taken();
    await this.settle('stopped');
  }

  /** What it has at the target. */
  #comes: Pick<DesiredServer, 'volumes'> = {};

  /** As control begins it: the target first, and the source as soon as that is ready. */
  async begin(mode: 'live' | 'cold', changes: Partial<NonNullable<DesiredServer['outgoing']>> = {}): Promise<void> {
    const { server, here, there } = this;
    const id = newId<MigrationId>();
    const key = randomBytes(32).toString('hex');
    const generation = server.generation + 1;
    const incoming = { id, mode, key, cancelled: false };
    this.server = { ...server, generation };
    const volumes = [this.#volume.announce(here.world, there.world, here.host!.facts().url)];
    this.#comes = { volumes };
    there.world.control.want({ ...server, volumes, epoch: server.epoch + 1, generation, incoming });
    const ready = await there.world.control.until(
      server.id,
      'ready',
      (seen) => seen.incoming?.id === id && seen.incoming.state !== 'preparing',
    );
    assert.equal(ready.incoming!.state, 'ready', JSON.stringify(ready.incoming));
    const outgoing = { id, mode, key, target: ready.incoming!.target!, cancelled: false, force: false, keep: false };
    here.world.control.want({ ...server, generation, outgoing: { ...outgoing, ...changes } });
  }

  /** The target is told that nobody wants it, gives it up, and is told to forget it; the source goes on as before. */
  async cancel(): Promise<void> {
    const { server, here, there } = this;
    const generation = server.generation + 1;
    const { incoming } = there.world.control.servers.find(({ id }) => id === server.id)!;
    there.world.control.want({
      ...{ ...server, ...this.#comes },
      epoch: server.epoch + 1,
      generation,
      incoming: { ...incoming!, cancelled: true },
    });
    await there.world.control.until(server.id, 'given up', (seen) => seen.incoming?.state === 'given_up');
    await here.world.control.until(server.id, 'staying', (seen) => seen.outgoing?.state === 'stayed');
    this.server = { ...server, generation };
    await this.#forget();
  }

  /** The source has noticed by itself that it does not get there; then the target's QEMU ends. @returns why */
  async noticed(): Promise<string | undefined> {
    const { outgoing } = await this.here.world.control.until(
      this.server.id,
      'noticing it',
      (seen) => seen.outgoing?.state === 'stayed',
      120_000,
    );
    await this.there.kill();
    await this.staying();
    return outgoing?.error?.code;
  }

  /** The target's QEMU stands still from a step of the source's on. */
  async freezesAfter(step: string): Promise<void> {
    const { here, there } = this;
    let frozen = false;
    let freeze = () => {};
    here.after = async (name) => {
      if (name === 'record-sending') freeze = await there.freezer();
      if (frozen || name !== step) return;
      frozen = true;
      freeze();
    };
    await this.begin('live');
    await until('the target to stand still', () => frozen, { timeoutMs: 120_000 });
    here.after = async () => {};
  }

  /** The source has let go of it and hears nothing of the target, who gives it up when it is asked: it is the source's again. */
  async takenBack(): Promise<void> {
    const { server, here, there } = this;
    const { id } = server;
    await here.world.control.until(id, 'losing sight', (seen) => seen.outgoing?.state === 'lost_sight', 120_000);
    const { incoming } = there.world.control.servers.find((each) => each.id === id)!;
    const generation = server.generation + 1;
    const asked = { ...server, ...this.#comes, epoch: server.epoch + 1, generation };
    there.world.control.want({ ...asked, incoming: { ...incoming!, cancelled: true } });
    await there.world.control.until(id, 'given up', (seen) => seen.incoming?.state === 'given_up');
    there.world.control.want({ ...server, epoch: server.epoch + 1, generation: generation + 1, presence: 'absent' });
    await there.world.control.until(id, 'absent', (seen) => seen.state === 'absent');
    await this.#volume.giveUp(there.world);
    this.server = { ...server, epoch: server.epoch + 2, generation };
    await this.want({}, 'running');
  }

  /** The target has given it up by itself, or has ended. */
  async staying(): Promise<ObservedServer['outgoing']> {
    const { here, there, server } = this;
    const { outgoing } = await here.world.control.until(
      server.id,
      'staying',
      (seen) => seen.outgoing?.state === 'stayed',
    );
    await there.world.control.until(server.id, 'given up', (seen) => seen.incoming?.state === 'given_up');
    await this.#forget();
    return outgoing;
  }

  async #forget(): Promise<void> {
    const { server, there } = this;
    there.world.control.want({
      ...server,
      epoch: server.epoch + 1,
      generation: server.generation + 1,
      presence: 'absent',
    });
    await there.world.control.until(server.id, 'absent', (seen) => seen.state === 'absent');
    await this.#volume.giveUp(there.world);
    await this.want({}, 'running');
  }

  async taken(): Promise<void> {
    const { here, there, server } = this;
    const failed = ({ outgoing }: ObservedServer) => outgoing?.state === 'stayed' || outgoing?.state === 'lost_sight';
    await until('the target to have it', () => {
      const source = here.world.control.observed.get(server.id);
      if (source && failed(source)) throw new Error(`it did not go: ${JSON.stringify(source.outgoing)}`);
      const target = there.world.control.observed.get(server.id)?.incoming;
      if (target?.state === 'given_up') throw new Error(`the target gave it up: ${JSON.stringify(target)}`);
      return target?.state === 'taken_over';
    });
    await here.world.control.until(server.id, 'handed over', (seen) => seen.outgoing?.state === 'handed_over');
  }

  /** The target owns it now. */
  async settle(state: ObservedServer['state'] = 'running'): Promise<void> {
    const { server, here } = this;
    const generation = server.generation + 1;
    here.world.control.want({ ...server, generation, presence: 'absent' });
    await here.world.control.until(server.id, 'absent', (seen) => seen.state === 'absent');
    this.#shell?.close();
    this.#shell = undefined;
    this.#here = 1 - this.#here;
    this.server = { ...server, ...this.#comes, epoch: server.epoch + 1 };
    await this.#volume.arrive(here.world);
    await this.want({}, state);
  }

  /** The work ends its guest, and another one runs afterwards: nobody is logged in there. */
  async restarted(work: () => Promise<void>): Promise<void> {
    this.told = await this.#allWritten();
    this.#shell?.close();
    this.#shell = undefined;
    this.#booted = false;
    await work();
  }

  async stop(): Promise<void> {
    const shell = await this.shell();
    await shell.run(
      'touch /tmp/enough; until [ -e /tmp/ended-disk ] && [ -e /tmp/ended-ephemeral0 ] && [ -e /tmp/ended-volume ]; do sleep 0.1; done; sync',
    );
    this.told = await this.#allWritten();
    shell.close();
    this.#shell = undefined;
    this.#booted = false;
    await this.want({ power: 'off' }, 'stopped');
  }

  start = (): Promise<void> => this.want({ power: 'on' }, 'running');

  /** What the guest was told is on its disks, when it was last asked. */
  told = { disk: 0, ephemeral0: 0, volume: 0 };

  async #allWritten(): Promise<typeof this.told> {
    const [disk, ephemeral0] = [await this.written('disk'), await this.written('ephemeral0')];
    return { disk, ephemeral0, volume: await this.written('volume') };
  }

  /** One copy, and its disks hold the whole sequence up to some number, not less than the guest was told. */
  async assertWhole(): Promise<void> {
    assert.deepEqual([await this.here.guests(), await this.there.guests()], [1, 0]);
    const shell = await this.shell();
    await linkVolume(shell, this.#volume.document.id);
    assert.equal(await this.#readEarly(), this.#early, 'what was written before the snapshot');
    for (const [name, { device, from }] of Object.entries(places) as [
      keyof typeof places,
      { device: string; from: number },
    ][]) {
      const told = Math.max(this.told[name], await this.written(name));
      await shell.run('touch /tmp/enough');
      await until('the writer to end', async () => Number(await this.written(name)) >= 0);
      // A line for each block, by as few processes as can be: under emulation on a busy machine each takes long.
      const numbers = await shell.run(
        `dd if=${device} bs=4096 skip=${from} count=${blocks} 2>/dev/null | tr "\\000" 0 | fold -w 4096 | sed "s/^0*//; s/^$/0/"`,
      );
      const found = numbers.split('\n').map(Number);
      assert.equal(found.length, blocks, name);
      assertPrefix(found, { told, name });
    }
  }
}
