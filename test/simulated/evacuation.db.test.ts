/**
 * Hosts that are lost, cut off or slow, and control that is: a server that may be restarted elsewhere never runs twice. The witness looks at every QEMU of every
 * machine the whole time, as something that two guests could write to would see them.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { fuzzing, whole } from '../support/part-of.ts';
import { Random } from '../support/random.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';
import { createServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

const leaseMs = 400;
const hooks = {
  streams: { leaseMs, pingMs: 60, silentMs: 300 },
  evacuation: { everyMs: 20, steadyMs: 300, gapMs: 200, retryMs: 100, marginMs: 200 },
};

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 3, hooks, settings: { imageCopies: 3 } });
  tenancy = await makeTenancy(cloud);
  // What is on the lost host alone nobody can build of.
  await cloud.until('each host to have the image', async () => {
    return (await cloud.count(sql`select count(*) as n from image_location where image_id = ${tenancy.imageId}`)) === 3;
  });
});
after(() => cloud[Symbol.asyncDispose]());

/** On how many machines it does something at this moment. */
const runs = (id: ServerId): SimulatedHost[] =>
  cloud.hosts.filter((host) => host.machine.qemus.guests.some((qemu) => qemu.executes && qemu.machine.uuid === id));

function witness(ids: readonly ServerId[]) {
  const seen: string[] = [];
  let looks = 0;
  const timer = setInterval(() => {
    looks++;
    for (const id of ids) {
      const where = runs(id);
      if (where.length > 1) seen.push(`${id} on ${where.map(({ name }) => name).join(' and ')}`);
    }
  }, 1);
  return {
    end() {
      clearInterval(timer);
      assert.deepEqual(seen, []);
      assert.ok(looks > 100, 'the witness looked');
    },
  };
}

async function protectedServer(name: string, onLeaseEnd: 'pause' | 'stop'): Promise<ServerId> {
  const id = await createServer(tenancy, name);
  const policy = { restart: 'elsewhere', disk: 'from_image', on_lease_end: onLeaseEnd };
  await tenancy.client.native('PUT', `/servers/${id}/evacuation-policy`, { evacuation_policy: policy });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await cloud.until('its host to keep to that', () =>
    cloud.hosts.some((host) => host.machine.qemus.guest(id) && keeps(host, id)),
  );
  return id;
}

const keeps = ({ machine }: SimulatedHost, id: ServerId): boolean =>
  machine.qemus.guard.guarded(id, machine.qemus.guest(id)!.pid) !== undefined;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

test('a server of a host that is dead runs on another one soon, and is that one’s when the first comes back', async () => {
  const id = await protectedServer('mortal', 'pause');
  const watching = witness([id]);
  const [first] = runs(id);
  first!.kill();
  first!.machine.powerCut();
  const began = performance.now();
  await cloud.until('it to run elsewhere', () => runs(id).length === 1 && runs(id)[0] !== first);
  const took = performance.now() - began;
  assert.ok(took < 40 * leaseMs, `${took} ms`);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await first!.start();
  await cloud.until('the first to have nothing of it', () => !first!.leftovers().some((left) => left.includes(id)));
  assert.equal(runs(id).length, 1);
  watching.end();
});

interface Trouble {
  name: string;
  begin(host: SimulatedHost, random: Random): Promise<void> | void;
  end(host: SimulatedHost): Promise<void> | void;
}
const troubles: Trouble[] = [
  {
    name: 'the host is cut off',
    begin: (host) => {
      host.unheard = true;
    },
    end: (host) => {
      host.unheard = false;
      host.dropConnection();
    },
  },
  {
    name: 'the host process dies and its guests live',
    begin: (host) => host.kill(),
    end: (host) => host.start(),
  },
  {
    name: 'the machine loses its power',
    begin(host) {
      host.kill();
      host.machine.powerCut();
    },
    end: (host) => host.start(),
  },
  {
    name: 'what the host hears and says is late',
    begin: (host, random) => {
      host.delayMs = random.below(2 * leaseMs);
    },
    end: (host) => {
      host.delayMs = 0;
    },
  },
  { name: 'the stream breaks', begin: (host) => host.dropConnection(), end: () => {} },
  { name: 'control dies', begin: () => cloud.replaceControl(), end: () => {} },
  {
    name: 'control has no database',
    begin: () => {
      cloud.control.databaseWire.silent = true;
    },
    end: () => {
      cloud.control.databaseWire.silent = false;
      cloud.control.databaseWire.drop();
    },
  },
];

const schedules = fuzzing ? 50 : whole ? 20 : 6;
test(`in ${schedules} random schedules no server ever runs twice, and each runs in the end`, async (t) => {
  const seed = Number(process.env.BOTHY_SEED ?? Date.now() % 1e9);
  t.diagnostic(`BOTHY_SEED=${seed}`);
  const random = new Random(seed);
  const ids = [
    await protectedServer('a', 'pause'),
    await protectedServer('b', 'stop'),
    await protectedServer('c', 'pause'),
  ];
  const watching = witness(ids);
  let moved = 0;
  for (let n = 0; n < schedules; n++) {
    const before = new Map(ids.map((id) => [id, runs(id)[0]]));
    const story: string[] = [];
    const begun: [Trouble, SimulatedHost][] = [];
    // One host at a time: where half of them are lost at once, none is believed to be.
    const host = runs(random.pick(ids))[0] ?? random.pick(cloud.hosts);
    for (let more = 1 + random.below(2); more > 0; more--) {
      const trouble = random.pick(troubles.filter((one) => !begun.some(([other]) => other === one)));
      story.push(`${trouble.name} (${host.name})`);
      await trouble.begin(host, random);
      begun.push([trouble, host]);
      await pause(random.below(leaseMs));
    }
    await pause(random.below(5 * leaseMs));
    for (const [trouble, at] of begun) await trouble.end(at);
    for (const id of ids) {
      await cloud
        .until('it to run', () => runs(id).length === 1, 60_000)
        .catch((error: Error) => {
          throw new Error(`schedule ${n}, ${story.join(', ')}: ${error.message}`);
        });
    }
    await cloud.until('all hosts to be heard', () => cloud.hosts.every((one) => one.connected));
    moved += ids.filter((id) => runs(id)[0] !== before.get(id)).length;
    t.diagnostic(`${n}: ${story.join(', ')}`);
  }
  watching.end();
  t.diagnostic(`${moved} evacuations`);
  if (schedules > 10) assert.ok(moved > 5, `only ${moved} were restarted elsewhere`);
});
