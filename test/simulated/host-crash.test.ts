/**
 * The host process dies after each step of each kind of work and starts again: the end is always the same. The n-th run
 * dies after the n-th step; the runs end when a piece of work is through before its host would have died.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type ImageId, newId, type PortId } from '../../contract/ids.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { makeLayer, volumeBytes, volumeOf } from '../support/layers.ts';
import { partOf } from '../support/part-of.ts';
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

type Change = (server: DesiredServer, world: HostWorld) => DesiredServer | Promise<DesiredServer>;
type State = 'running' | 'stopped' | 'paused' | 'suspended' | 'absent';

/** One thing that shall become of a server. */
interface Act {
  change: Change;
  state: State;
  /** What else is seen at its end. */
  done?: (observed: ObservedServer, server: DesiredServer) => boolean;
}

interface Work extends Act {
  name: string;
  /** What was done to the server before. */
  before?: Act[];
  /** The guest goes on with what it had in memory before the work. */
  keeps?: true;
}

const create: Act = { change: (server) => server, state: 'running' };
const power = (power: DesiredServer['power'], state: State): Act => ({
  change: (server) => ({ ...server, power }),
  state,
});
const reboot = (type: 'soft' | 'hard'): Act => ({
  change: (server) => ({ ...server, power: 'on', reboot: { count: server.reboot.count + 1, type } }),
  state: 'running',
});
const rescue: Act = {
  change: async (server, world) => ({
    ...{ ...server, power: 'on' },
    rescue: { count: server.generation + 1, image: (await world.storeImage(Buffer.alloc(8192, 3)))! },
  }),
  state: 'running',
};
const rebuild: Act = {
  change: async (server, world) => ({
    ...server,
    rootCount: server.generation + 1,
    image: await world.storeImage(Buffer.alloc(12_288, 5)),
  }),
  state: 'running',
};
const capture: Act = {
  change: (server) => ({ ...server, captures: [{ imageId: newId<ImageId>() }] }),
  state: 'running',
  done: (observed, server) =>
    observed.captures?.find(({ imageId }) => server.captures?.some((each) => each.imageId === imageId))?.result != null,
};
/** Off, then an image: what a shelved server comes to on its host before it leaves it. */
const shelve: Act = {
  ...capture,
  change: (server) => ({ ...server, power: 'off', captures: [{ imageId: newId<ImageId>() }] }),
  state: 'stopped',
};
const resize: Act = {
  change: (server) => ({ ...server, vcpus: 2, diskGiB: 2, resize: { count: server.generation + 1, state: 'kept' } }),
  state: 'running',
};
const revert: Act = {
  change: (server) => ({
    ...server,
    vcpus: 1,
    diskGiB: 1,
    resize: { count: server.generation + 1, state: 'reverted' },
  }),
  state: 'running',
};
const confirm: Act = { change: ({ resize: _over, ...server }) => server, state: 'running' };
/** A machine into which cards can be plugged. */
const createModern: Act = {
  change: (server) => ({ ...server, machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 } }),
  state: 'running',
};
const attach: Act = {
  change: ({ ports, ...server }) => ({
    ...server,
    ports: [...ports, { ...ports[0]!, id: newId<PortId>(), mac: 'fa:16:3e:00:00:77', slot: 1 }],
  }),
  state: 'running',
};
const detach: Act = { change: ({ ports, ...server }) => ({ ...server, ports: ports.slice(0, -1) }), state: 'running' };
const localDisks = (sizeMiB: number): DesiredServer['localDisks'] => [
  { name: 'ephemeral0', sizeMiB, format: 'ext4' },
  { name: 'swap', sizeMiB, format: 'swap' },
];
const createWithDisks: Act = { change: (server) => ({ ...server, localDisks: localDisks(8) }), state: 'running' };
const resizeDisks: Act = {
  change: (server) => ({
    ...server,
    localDisks: localDisks(16),
    resize: { count: server.generation + 1, state: 'kept' },
  }),
  state: 'running',
};
const revertDisks: Act = {
  change: (server) => ({
    ...server,
    localDisks: localDisks(8),
    resize: { count: server.generation + 1, state: 'reverted' },
  }),
  state: 'running',
};
const createWithVolumeBus: Act = {
  change: (server) => ({ ...server, machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 2 } }),
  state: 'running',
};
const volumesOf = ({ volumes }: Pick<ObservedServer, 'volumes'>) => (volumes ?? []).map(({ layerId }) => layerId);
const haveVolumes = (observed: ObservedServer, { volumes = [] }: DesiredServer): boolean =>
  String(volumesOf(observed)) === String(volumes.map(({ layerId }) => layerId));
const attachVolume: Act = {
  change: async (server, world) => ({ ...server, volumes: [volumeOf(await makeLayer(world))] }),
  state: 'running',
  done: haveVolumes,
};
const detachVolume: Act = { change: (server) => ({ ...server, volumes: [] }), state: 'running', done: haveVolumes };
const snapshotVolume: Act = {
  change: async ({ volumes: [volume] = [], ...server }, world) => {
    const layerId = await makeLayer(world, { parentId: volume!.layerId });
    return { ...server, volumes: [{ ...volume!, layerId }] };
  },
  state: 'running',
  done: haveVolumes,
};
const growVolume: Act = {
  change: ({ volumes: [volume] = [], ...server }) => ({
    ...server,
    volumes: [{ ...volume!, sizeBytes: 2 * volumeBytes }],
  }),
  state: 'running',
  done: ({ volumes }) => volumes?.[0]?.sizeBytes === 2 * volumeBytes,
};
const createFromVolume: Act = {
  change: async (server, world) => {
    const volumes = [volumeOf(await makeLayer(world), { slot: 0, bootIndex: 0 })];
    return { ...server, machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 2 }, image: null, volumes };
  },
  state: 'running',
  done: haveVolumes,
};
const unrescue: Act = { change: (server) => ({ ...server, power: 'on', rescue: null }), state: 'running' };
const remove: Act = { change: (server) => ({ ...server, presence: 'absent' }), state: 'absent' };
const pause = power('paused', 'paused');
const suspend = power('suspended', 'suspended');

const works: Work[] = [
  { name: 'create', ...create },
  { name: 'create with ephemeral and swap disks', ...createWithDisks },
  { name: 'rebuild with them', before: [createWithDisks], ...rebuild },
  { name: 'resize with larger ones', before: [createWithDisks], ...resizeDisks },
  { name: 'revert of that', before: [createWithDisks, resizeDisks], ...revertDisks },
  { name: 'confirmation of that', before: [createWithDisks, resizeDisks], keeps: true, ...confirm },
  { name: 'hard reboot after its confirmation', before: [createWithDisks, resizeDisks, confirm], ...reboot('hard') },
  { name: 'delete with them', before: [createWithDisks], ...remove },
  { name: 'stop', before: [create], ...power('off', 'stopped') },
  { name: 'start', before: [create, power('off', 'stopped')], ...power('on', 'running') },
  { name: 'hard reboot', before: [create], ...reboot('hard') },
  { name: 'soft reboot', before: [create], ...reboot('soft') },
  { name: 'new epoch', before: [create], change: (server) => ({ ...server, epoch: 2 }), state: 'running' },
  { name: 'delete', before: [create], ...remove },
  { name: 'pause', before: [create], keeps: true, ...pause },
  { name: 'unpause', before: [create, pause], keeps: true, ...power('on', 'running') },
  { name: 'stop of a paused server', before: [create, pause], ...power('off', 'stopped') },
  { name: 'hard reboot of a paused server', before: [create, pause], ...reboot('hard') },
  { name: 'suspend', before: [create], ...suspend },
  { name: 'resume', before: [create, suspend], keeps: true, ...power('on', 'running') },
  { name: 'a second suspend', before: [create, suspend, power('on', 'running')], ...suspend },
  { name: 'hard reboot of a suspended server', before: [create, suspend], ...reboot('hard') },
  { name: 'stop of a suspended server', before: [create, suspend], ...power('off', 'stopped') },
  { name: 'delete of a suspended server', before: [create, suspend], ...remove },
  { name: 'rescue', before: [create], ...rescue },
  { name: 'rescue of a stopped server', before: [create, power('off', 'stopped')], ...rescue },
  { name: 'rescue of a suspended server', before: [create, suspend], ...rescue },
  { name: 'another rescue', before: [create, rescue], ...rescue },
  { name: 'unrescue', before: [create, rescue], ...unrescue },
  { name: 'rebuild', before: [create], ...rebuild },
  { name: 'rebuild of a stopped server', before: [create, power('off', 'stopped')], ...rebuild, state: 'stopped' },
  { name: 'image', before: [create], keeps: true, ...capture },
  { name: 'image of a stopped server', before: [create, power('off', 'stopped')], ...capture, state: 'stopped' },
  { name: 'image of a suspended server', before: [create, suspend], ...capture, state: 'suspended' },
  { name: 'shelve', before: [create], ...shelve },
  { name: 'delete after an image', before: [create, capture], ...remove },
  { name: 'resize', before: [create], ...resize },
  { name: 'resize of a stopped server', before: [create, power('off', 'stopped')], ...resize, state: 'stopped' },
  { name: 'confirm of a resize', before: [create, resize], keeps: true, ...confirm },
  { name: 'revert of a resize', before: [create, resize], ...revert },
  { name: 'resize after a revert', before: [create, resize, revert], ...resize },
  { name: 'another rebuild', before: [create, rebuild], ...rebuild },
  { name: 'attach of a card', before: [createModern], keeps: true, ...attach },
  { name: 'detach of a card', before: [createModern, attach], keeps: true, ...detach },
  { name: 'suspend with a card that came', before: [createModern, attach], ...suspend },
  {
    ...{ name: 'resume with a card that came', before: [createModern, attach, suspend], keeps: true },
    ...power('on', 'running'),
  },
  { name: 'attach of a volume', before: [createWithVolumeBus], keeps: true, ...attachVolume },
  { name: 'detach of a volume', before: [createWithVolumeBus, attachVolume], keeps: true, ...detachVolume },
  { name: 'snapshot of its volume', before: [createWithVolumeBus, attachVolume], keeps: true, ...snapshotVolume },
  {
    ...{ name: 'detach after that', before: [createWithVolumeBus, attachVolume, snapshotVolume], keeps: true },
    ...detachVolume,
  },
  { name: 'growth of its volume', before: [createWithVolumeBus, attachVolume], keeps: true, ...growVolume },
  { name: 'suspend with a volume', before: [createWithVolumeBus, attachVolume], ...suspend },
  {
    ...{ name: 'resume with a volume', before: [createWithVolumeBus, attachVolume, suspend], keeps: true },
    ...power('on', 'running'),
  },
  { name: 'create from a volume', ...createFromVolume },
  { name: 'resize of one from a volume', before: [createFromVolume], ...resize },
  { name: 'delete of one from a volume', before: [createFromVolume], ...remove },
  { name: 'delete of a rescued server', before: [create, rescue], ...remove },
];

for (const work of partOf(works, 3)) {
  test(`${work.name}: the end is the same wherever the host process dies`, async (t) => {
    const died: string[] = [];
    for (let n = 1; n < 50; n++) {
      const step = await runOnce(t, work, n);
      if (step === undefined) break;
      died.push(step);
    }
    assert.ok(died.length >= 1, `steps: ${died}`);
    t.diagnostic(`died after: ${died.join(', ')}`);
  });
}

const hasGuest = (state: State) => state === 'running' || state === 'paused';

/** Answers the step after which the host died; undefined where it did not. */
async function runOnce(t: TestContext, work: Work, n: number): Promise<string | undefined> {
  const world = await hostWorld(t);
  const first = mortal(world);
  await first.host.start();
  const { control, machine } = world;
  let server = { ...wantedServer(await world.storeImage()), generation: 0 };
  const isDone = (act: Act) => () => {
    const observed = control.observed.get(server.id);
    const there = observed?.state === act.state && observed.generation === server.generation;
    return there && (act.done?.(observed, server) ?? true);
  };
  const want = async (act: Act, begin = () => {}) => {
    server = { ...(await act.change(server, world)), generation: server.generation + 1 };
    begin();
    control.want(server);
  };
  let memory: string | undefined;
  for (const act of work.before ?? []) {
    await want(act);
    await control.until(server.id, act.state, isDone(act));
    memory = machine.guest(server.id)?.guest.memory ?? memory;
  }
  const launchesBefore = machine.launches;
  await want(work, () => first.arm(n));
  await until('death or the end', () => first.isDead() || isDone(work)());
  const step = first.isDead() ? first.steps.at(-1) : undefined;
  if (step !== undefined) {
    control.observed.clear();
    await world.host().start();
  }
  await control.until(server.id, work.state, isDone(work));
  check(world, work, server, launchesBefore);
  if (work.keeps) assert.equal(machine.guest(server.id)!.guest.memory, memory);
  return step;
}

function check(world: HostWorld, work: Work, server: DesiredServer, launchesBefore: number): void {
  const { machine, network, directory } = world;
  const guests = machine.guests.map((qemu) => [qemu.machine.uuid, qemu.state]);
  assert.deepEqual(guests, hasGuest(work.state) ? [[server.id, work.state]] : []);
  assert.deepEqual([...network.ports.keys()], hasGuest(work.state) ? server.ports.map(({ id }) => id) : []);
  const cards = machine.guest(server.id)?.machine.cards.map(({ mac }) => mac);
  if (hasGuest(work.state))
    assert.deepEqual(
      cards,
      server.ports.map(({ mac }) => mac),
    );
  const data = join(directory, 'data/servers');
  assert.deepEqual(readdirSync(data), work.state === 'absent' ? [] : [server.id]);
  assert.deepEqual(readdirSync(join(directory, 'run/guests')).length > 0, work.state !== 'absent');
  const observed = world.control.observed.get(server.id)!;
  assert.equal(observed.error, null);
  assert.equal(observed.rebootCount, work.state === 'absent' ? 0 : server.reboot.count);
  // A start that was not seen by its own host process may be found, never doubled.
  assert.ok(machine.launches - launchesBefore <= 2);
  if (work.state === 'absent') return;
  const files = readdirSync(join(data, server.id));
  assert.equal(files.includes('memory'), work.state === 'suspended');
  assert.equal(files.includes('capture.qcow2'), false);
  assert.equal(files.includes('rescue.qcow2'), server.rescue != null);
  assert.equal(observed.resizeCount, server.resize?.state === 'kept' ? server.resize.count : 0);
  assert.equal(observed.rootCount, server.rootCount ?? 0);
  assert.equal(observed.rescueCount, server.rescue?.count ?? 0);
  const disks = machine.guest(server.id)?.machine.disks.map(({ id }) => id) ?? [];
  const own = server.image === null ? `vol-${server.volumes![0]!.id}` : 'disk0';
  if (work.state === 'running') assert.equal(disks[0], server.rescue ? 'rescue0' : own);
  checkVolumes(world, work, server);
  const localDisks = (server.localDisks ?? []).map(({ name }) => name);
  assert.equal(
    files.some((name) => name.includes('before-resize')),
    localDisks.length > 0 && server.resize?.state === 'kept',
  );
  const found = files.filter((name) => name.endsWith('.raw')).map((name) => name.split('-')[0]);
  assert.deepEqual(found, localDisks);
  if (localDisks.length > 0) assert.deepEqual(disks.slice(1, 1 + localDisks.length), ['ephemeral00', 'swap0']);
}

/** What a guest has is open, and nothing else. */
function checkVolumes(
  { control, machine, directory }: HostWorld,
  { state }: Work,
  { id, volumes = [] }: DesiredServer,
) {
  const has = hasGuest(state) ? volumes : [];
  const found = machine.guest(id)?.machine.disks.flatMap((disk) => disk.id?.match(/^vol-(.+)/)?.[1] ?? []) ?? [];
  assert.deepEqual(
    found,
    has.map((volume) => volume.id),
  );
  assert.deepEqual(
    volumesOf(control.observed.get(id)!),
    has.map(({ layerId }) => layerId),
  );
  for (const layer of control.layers) {
    const path = join(directory, 'data/volumes/layers', `${layer.id}.qcow2`);
    const open = () => machine.claims.file(path, 'write')();
    const chain = has.length > 0 && (layer.id === has[0]!.layerId || layer.readOnly);
    if (chain) assert.throws(open, /lock/);
    else open();
  }
}
