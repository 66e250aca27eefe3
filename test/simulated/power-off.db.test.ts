/**
 * A host that is cut off, and whose guests run on: its BMC turns it off, and only then, long before its lease ends, they run elsewhere. The witness looks at every QEMU of every machine.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { FakeBmc, type Trouble } from '../../simulator/redfish/index.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';
import { createServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

const hooks = {
  // Longer than this test lasts.
  streams: { leaseMs: 600_000, pingMs: 300, silentMs: 5000 },
  evacuation: { everyMs: 20, steadyMs: 300, gapMs: 10_000, retryMs: 100, marginMs: 200 },
  powerOff: { graceMs: 200, lookMs: 10, againMs: 500, turnMs: 2000, retryMs: 100, requestMs: 1000 },
};

let cloud: SimulatedCloud;
let tenancy: Tenancy;
const bmcs = new Map<SimulatedHost, FakeBmc>();
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 3, hooks, settings: { imageCopies: 3 } });
  tenancy = await makeTenancy(cloud);
  await cloud.until('each host to have the image', async () => {
    return (await cloud.count(sql`select count(*) as n from image_location where image_id = ${tenancy.imageId}`)) === 3;
  });
  for (const host of cloud.hosts) bmcs.set(host, await bmcOf(host));
});
after(async () => {
  for (const bmc of bmcs.values()) await bmc.close();
  await cloud[Symbol.asyncDispose]();
});

async function native(method: string, path: string, body?: unknown) {
  await (await cloud.client()).native(method, path, body);
}

/** Its power is the machine's. */
async function bmcOf(host: SimulatedHost): Promise<FakeBmc> {
  const { certificate, key, ca } = cloud.identity.control;
  const tls = { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
  const bmc = new FakeBmc({
    ...{ tls, user: 'bothy', password: 'secret', uuid: host.id },
    onPower(on) {
      if (on) return;
      host.kill();
      host.machine.powerCut();
    },
  });
  const url = await bmc.listen();
  const said = { url, user: 'bothy', password: 'secret', ca: readFileSync(ca, 'utf8') };
  await native('PUT', `/hosts/${host.id}/bmc`, { bmc: said });
  return bmc;
}

/** On how many machines it does something at this moment. */
const runs = (id: ServerId): SimulatedHost[] =>
  cloud.hosts.filter((host) => host.machine.qemus.guests.some((qemu) => qemu.executes && qemu.machine.uuid === id));

function witness(id: ServerId) {
  let [twice, looks] = [0, 0];
  const timer = setInterval(() => {
    looks++;
    if (runs(id).length > 1) twice++;
  }, 1);
  return {
    end() {
      clearInterval(timer);
      assert.equal(twice, 0);
      assert.ok(looks > 50, 'the witness looked');
    },
  };
}

async function keptRunning(name: string): Promise<{ id: ServerId; host: SimulatedHost; bmc: FakeBmc }> {
  const id = await createServer(tenancy, name);
  await native('PUT', `/servers/${id}/evacuation-policy`, {
    evacuation_policy: { restart: 'elsewhere', disk: 'from_image', on_lease_end: 'keep' },
  });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await cloud.until('it to run', () => runs(id).length === 1);
  await cloud.until('its host to have heard that', async () => {
    const heard = sql`select count(*) as n from server where id = ${id}
      and observed_generation >= (evacuation_policy ->> 'generation')::bigint`;
    return (await cloud.count(heard)) === 1;
  });
  const host = runs(id)[0]!;
  return { id, host, bmc: bmcs.get(host)! };
}

test('a host that is cut off is turned off, and its guest, which ran on, runs elsewhere and nowhere twice', async () => {
  const { id, host, bmc } = await keptRunning('cut off');
  const watching = witness(id);
  host.unheard = true;
  host.dropConnection();
  await cloud.until('it to run elsewhere', () => runs(id).length === 1 && runs(id)[0] !== host);
  assert.deepEqual(bmc.resets, ['ForceOff']);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  host.unheard = false;
  bmc.turn(true);
  await host.start();
  await cloud.until('the first to have nothing of it', () => !host.leftovers().some((left) => left.includes(id)));
  assert.equal(runs(id).length, 1);
  watching.end();
});

for (const trouble of ['server error', 'ignores resets', 'half an answer'] satisfies Trouble[]) {
  test(`with a BMC that is ${trouble} it runs where it ran, until the host is heard again`, async () => {
    const { id, host, bmc } = await keptRunning(trouble);
    const [watching, before] = [witness(id), bmc.resets.length];
    bmc.trouble = trouble;
    host.unheard = true;
    host.dropConnection();
    await cloud.until('the BMC to have been asked for it', async () => {
      const open = sql`select count(*) as n from host_power_off where host_id = ${host.id} and ended is null
        and (error is not null or asked > 1)`;
      return (await cloud.count(open)) === 1;
    });
    assert.deepEqual(runs(id), [host]);
    bmc.trouble = undefined;
    host.unheard = false;
    await cloud.until('the host to be heard, or turned off', () => host.connected || !bmc.power);
    await cloud.until('it to run', () => runs(id).length === 1);
    watching.end();
    if (bmc.power) assert.ok(trouble === 'ignores resets' || bmc.resets.length === before);
    else {
      bmc.turn(true);
      await host.start();
    }
    await cloud.until('all hosts to be heard', () => cloud.hosts.every((one) => one.connected));
  });
}
