/**
 * The host process dies after each step of each kind of work and starts again: the end is always the same. The n-th run
 * dies after the n-th step; the runs end when a piece of work is through before its host would have died.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { ProcessDied } from '../../host/server/context.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

/** A host that dies after the n-th step from the moment that it is armed; answers which step that was. */
function mortal(world: HostWorld) {
  let left = Number.POSITIVE_INFINITY;
  const steps: string[] = [];
  const host = world.host({
    dependencies: {
      step: (name) => {
        steps.push(name);
        if (--left <= 0) throw new ProcessDied(name);
      },
    },
  });
  let dead = false;
  void host.died.then(() => {
    dead = true;
  });
  return {
    host,
    steps,
    arm: (n: number) => {
      left = n;
    },
    isDead: () => dead,
  };
}

interface Work {
  name: string;
  /** Already there when the work begins. */
  before?: boolean;
  change: (server: DesiredServer) => DesiredServer;
  state: 'running' | 'stopped' | 'absent';
}

const works: Work[] = [
  { name: 'create', change: (server) => server, state: 'running' },
  { name: 'stop', before: true, change: (server) => ({ ...server, generation: 2, power: 'off' }), state: 'stopped' },
  {
    name: 'hard reboot',
    before: true,
    change: (server) => ({ ...server, generation: 2, reboot: { count: 1, type: 'hard' } }),
    state: 'running',
  },
  {
    name: 'soft reboot',
    before: true,
    change: (server) => ({ ...server, generation: 2, reboot: { count: 1, type: 'soft' } }),
    state: 'running',
  },
  { name: 'new epoch', before: true, change: (server) => ({ ...server, epoch: 2, generation: 2 }), state: 'running' },
  {
    name: 'delete',
    before: true,
    change: (server) => ({ ...server, generation: 2, presence: 'absent' }),
    state: 'absent',
  },
];

for (const work of works) {
  test(`${work.name}: the end is the same wherever the host process dies`, { timeout: 60_000 }, async (t) => {
    const died: string[] = [];
    for (let n = 1; n < 50; n++) {
      const step = await runOnce(t, work, n);
      if (step === undefined) break;
      died.push(step);
    }
    assert.ok(died.length >= 2, `steps: ${died}`);
    t.diagnostic(`died after: ${died.join(', ')}`);
  });
}

/** Answers the step after which the host died; undefined where it did not. */
async function runOnce(t: TestContext, work: Work, n: number): Promise<string | undefined> {
  const world = await hostWorld(t);
  const first = mortal(world);
  await first.host.start();
  let server = wantedServer(await world.storeImage());
  const { control } = world;
  if (work.before) {
    control.want(server);
    await control.until(server.id, 'running', ({ state }) => state === 'running');
  }
  const launchesBefore = world.machine.launches;
  first.arm(n);
  server = work.change(server);
  control.want(server);
  const isDone = () => {
    const observed = control.observed.get(server.id);
    return observed?.state === work.state && observed.generation === server.generation;
  };
  await until('death or the end', () => first.isDead() || isDone());
  const step = first.isDead() ? first.steps.at(-1) : undefined;
  if (step !== undefined) {
    control.observed.clear();
    await world.host().start();
  }
  await control.until(server.id, work.state, isDone);
  check(world, work, server, launchesBefore);
  return step;
}

function check(world: HostWorld, work: Work, server: DesiredServer, launchesBefore: number): void {
  const { machine, network, directory } = world;
  const guests = machine.guests.map((qemu) => qemu.machine.uuid);
  assert.deepEqual(guests, work.state === 'running' ? [server.id] : []);
  assert.deepEqual([...network.ports.keys()], work.state === 'running' ? [server.ports[0]!.id] : []);
  assert.deepEqual(readdirSync(join(directory, 'data/servers')), work.state === 'absent' ? [] : [server.id]);
  assert.deepEqual(readdirSync(join(directory, 'run/guests')).length > 0, work.state !== 'absent');
  const observed = world.control.observed.get(server.id)!;
  assert.equal(observed.error, null);
  assert.equal(observed.rebootCount, work.state === 'absent' ? 0 : server.reboot.count);
  // A start that was not seen by its own host process may be found, never doubled.
  assert.ok(machine.launches - launchesBefore <= 2);
}
