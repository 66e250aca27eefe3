/** A server on two simulated hosts, and control's part in its way between them, for tests. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type MigrationId, newId } from '../../contract/ids.ts';
import type { ServerLimits } from '../../host/server/context.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { type HostWorld, hostWorld, wantedServer } from './host-world.ts';
import { until } from './until.ts';

/** A host whose process dies after the n-th step from the moment that it is armed. */
class MortalHost {
  readonly world: HostWorld;
  readonly steps: string[] = [];
  /** Told of each step that it has taken, before the next one. */
  after: (step: string) => void = () => {};
  dead = false;
  #left = Number.POSITIVE_INFINITY;

  readonly #limits: Partial<ServerLimits>;

  constructor(world: HostWorld, limits: Partial<ServerLimits> = {}) {
    this.world = world;
    this.#limits = limits;
  }

  async begin(): Promise<void> {
    this.dead = false;
    this.#left = Number.POSITIVE_INFINITY;
    const host = this.world.host({
      configuration: { limits: this.#limits },
      dependencies: {
        step: (name) => {
          this.steps.push(name);
          this.after(name);
          if (--this.#left <= 0) throw new ProcessDied(name);
        },
      },
    });
    void host.died.then(() => {
      this.dead = true;
    });
    await host.start();
  }

  arm(n: number): void {
    this.#left = n;
  }
}

export type Side = 'source' | 'target';

export class SimulatedMove {
  readonly source: MortalHost;
  readonly target: MortalHost;
  server: DesiredServer;
  readonly migration: { id: MigrationId; mode: 'live' | 'cold'; key: string };
  /** What it had in memory before. */
  memory: string | undefined;

  private constructor(source: MortalHost, target: MortalHost, server: DesiredServer, mode: 'live' | 'cold') {
    this.source = source;
    this.target = target;
    this.server = server;
    this.migration = { id: newId(), mode, key: randomBytes(32).toString('hex') };
  }

  static async of(
    t: TestContext,
    mode: 'live' | 'cold',
    changes: Partial<DesiredServer> = {},
    limits: Partial<ServerLimits> = {},
  ): Promise<SimulatedMove> {
    const first = await hostWorld(t);
    const second = await hostWorld(t, { authority: first.authority });
    const [source, target] = [new MortalHost(first, limits), new MortalHost(second, limits)];
    await Promise.all([source.begin(), target.begin()]);
    const image = await first.storeImage();
    const { client, endpoint } = second;
    const { Readable } = await import('node:stream');
    await client.putImage(endpoint(), image.id, Readable.from([Buffer.alloc(4096, 7)]), {
      format: 'raw',
      maxBytes: 2 ** 30,
    });
    const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 3 };
    const server = { ...wantedServer(image, { machine, configDrive: true, ...changes }), generation: 1, epoch: 1 };
    const move = new SimulatedMove(source, target, server, mode);
    first.control.want(server);
    await first.control.until(server.id, 'running', ({ state }) => state === 'running');
    move.memory = first.machine.guest(server.id)!.guest.memory;
    if (mode === 'cold') await move.stop();
    return move;
  }

  async stop(): Promise<void> {
    const { control } = this.source.world;
    this.server = { ...this.server, power: 'off', generation: this.server.generation + 1 };
    control.want(this.server);
    await control.until(this.server.id, 'stopped', ({ state }) => state === 'stopped');
  }

  get incoming(): ObservedServer['incoming'] {
    return this.target.world.control.observed.get(this.server.id)?.incoming;
  }

  get outgoing(): ObservedServer['outgoing'] {
    return this.source.world.control.observed.get(this.server.id)?.outgoing;
  }

  get comes(): NonNullable<DesiredServer['incoming']> {
    return { ...this.migration, cancelled: false };
  }

  /** The target hears of it first. */
  announce(changes: Partial<NonNullable<DesiredServer['incoming']>> = {}): void {
    this.server = { ...this.server, generation: this.server.generation + 1 };
    const incoming = { ...this.comes, ...changes };
    this.target.world.control.want({ ...this.server, epoch: this.server.epoch + 1, incoming });
  }

  async ready(): Promise<NonNullable<NonNullable<ObservedServer['incoming']>['target']>> {
    await until('the target to be ready', () => {
      if (this.incoming?.state === 'given_up') throw new Error(`given up: ${JSON.stringify(this.incoming)}`);
      return this.incoming?.state === 'ready';
    });
    return this.incoming!.target!;
  }

  /** Then the source, as soon as the target is ready. */
  send(
    target: NonNullable<DesiredServer['outgoing']>['target'],
    changes: Partial<NonNullable<DesiredServer['outgoing']>> = {},
  ): void {
    this.server = { ...this.server, generation: this.server.generation + 1 };
    const outgoing = { ...this.migration, target, cancelled: false, force: false, keep: false, ...changes };
    this.source.world.control.want({ ...this.server, outgoing });
  }

  /** As control makes an end of it: by what both have said. @returns where the server is */
  async end(): Promise<Side> {
    const over = () =>
      this.incoming?.state === 'taken_over' || this.incoming?.state === 'given_up' || this.outgoing?.state === 'stayed';
    await until('one of both to say how it ended', over).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify([this.incoming, this.outgoing])}`);
    });
    return this.incoming?.state === 'taken_over' ? this.#arrived() : this.#stayed();
  }

  async #arrived(): Promise<Side> {
    const { source, target, server } = this;
    const generation = server.generation + 1;
    this.server = { ...server, epoch: server.epoch + 1, generation };
    source.world.control.want({ ...server, generation, presence: 'absent' });
    target.world.control.want(this.server);
    await source.world.control.until(server.id, 'absent', ({ state }) => state === 'absent');
    return 'target';
  }

  async #stayed(): Promise<Side> {
    const { source, target, server } = this;
    const before = this.outgoing?.state;
    if (this.incoming?.state !== 'given_up') {
      this.announce({ cancelled: true });
      await until('the target to give it up', () => this.incoming?.state === 'given_up');
    }
    const generation = this.server.generation + 1;
    const epoch = server.epoch + 1;
    target.world.control.want({ ...server, epoch, generation, presence: 'absent' });
    const far = before === 'handing_over' || before === 'handed_over' || before === 'lost_sight';
    this.server = { ...server, generation, epoch: far ? epoch + 1 : server.epoch };
    source.world.control.want(this.server);
    await target.world.control.until(server.id, 'absent', ({ state }) => state === 'absent');
    return 'source';
  }

  /** One copy that can run, where it should be, and nothing of it elsewhere. */
  async assertOnly(side: Side, options: { sameMemory: boolean }): Promise<void> {
    const state = this.migration.mode === 'live' ? 'running' : 'stopped';
    const here = this[side].world;
    const there = this[side === 'source' ? 'target' : 'source'].world;
    const { id } = this.server;
    await here.control.until(id, `${state} at the ${side}, or dead there`, (seen) => {
      return seen.generation === this.server.generation && (seen.state === state || seen.error?.code === 'guest_died');
    });
    if (here.control.observed.get(id)!.error?.code === 'guest_died') {
      // Its QEMU has died where it was by then: as any other that does, it starts when control asks for it.
      this.server = { ...this.server, generation: this.server.generation + 1 };
      here.control.want(this.server);
    }
    const { generation } = this.server;
    await here.control.until(
      id,
      `${state} at the ${side}`,
      (seen) => seen.state === state && seen.generation === generation,
    );
    const states = (world: HostWorld) => world.machine.guests.map((guest) => guest.state);
    assert.deepEqual([states(here), states(there)], [state === 'running' ? ['running'] : [], []]);
    assert.ok(existsSync(join(here.directory, 'data/servers', id, 'disk.qcow2')));
    assert.deepEqual(readdirSync(join(there.directory, 'data/servers')), []);
    assert.deepEqual([...there.network.ports.keys()], []);
    if (state === 'running' && options.sameMemory) assert.equal(here.machine.guest(id)!.guest.memory, this.memory);
  }
}
