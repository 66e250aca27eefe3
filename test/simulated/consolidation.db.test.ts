/**
 * A whole simulated cloud whose hosts sleep while nobody needs them: their servers leave them live, their BMCs shut them down, control dies meanwhile, and a server that finds no host wakes one.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { FakeBmc } from '../../simulator/redfish/index.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';
import { createServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

const hooks = {
  draining: { everyMs: 50, againMs: 200 },
  consolidation: { everyMs: 50, holdMs: 100, restMs: 0, refusedMs: 500 },
  standby: { everyMs: 20, lookMs: 30, asleepMs: 200, turnMs: 2000 },
  watts: { everyMs: 100, periodMs: 200 },
};

let cloud: SimulatedCloud;
let tenancy: Tenancy;
const bmcs: FakeBmc[] = [];
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 3, hooks, settings: { imageCopies: 3, consolidate: 'do' } });
  tenancy = await makeTenancy(cloud);
  await cloud.until('each host to have the image', async () => {
    return (await cloud.count(sql`select count(*) as n from image_location where image_id = ${tenancy.imageId}`)) === 3;
  });
});
after(async () => {
  for (const bmc of bmcs) await bmc.close();
  await cloud[Symbol.asyncDispose]();
});

async function native(method: string, path: string, body?: unknown) {
  return (await cloud.client()).native(method, path, body);
}

/** Its power is the machine's; a shutdown in order ends the host process first, as systemd does. */
async function giveBmc(host: SimulatedHost): Promise<FakeBmc> {
  const { certificate, key, ca } = cloud.identity.control;
  const tls = { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
  const bmc = new FakeBmc({
    ...{ tls, user: 'bothy', password: 'secret', uuid: host.id },
    onPower(on) {
      if (on) void host.start();
      else void host.stop().then(() => host.machine.powerCut());
    },
  });
  bmcs.push(bmc);
  const url = await bmc.listen();
  await native('PUT', `/hosts/${host.id}/bmc`, {
    bmc: { url, user: 'bothy', password: 'secret', ca: readFileSync(ca, 'utf8') },
  });
  return bmc;
}

const runs = (id: ServerId): SimulatedHost[] =>
  cloud.hosts.filter((host) => host.machine.qemus.guests.some((qemu) => qemu.executes && qemu.machine.uuid === id));
const standby = async (): Promise<{ host: string; state: string }[]> =>
  (await native('GET', '/consolidation')).consolidation.standby;

test('hosts that nobody needs sleep one after the other, their servers run on elsewhere, and control may die meanwhile', async () => {
  const [first] = cloud.hosts as [SimulatedHost];
  const ids: ServerId[] = [];
  for (let n = 0; n < 4; n++) ids.push(await createServer(tenancy, `小屋 ${n}`));
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  assert.ok(new Set(ids.flatMap(runs)).size > 1, 'they are on several hosts');
  for (const host of cloud.hosts.slice(1)) await giveBmc(host);
  for (const n of [1, 2]) {
    await cloud.until(`${n} hosts on their way`, async () => (await standby()).length >= n);
    await cloud.replaceControl();
    await cloud.until(`${n} hosts in standby`, async () => {
      return (await standby()).filter(({ state }) => state === 'standby').length >= n;
    });
  }
  assert.deepEqual(
    bmcs.map(({ resets, power }) => [resets, power]),
    [
      [['GracefulShutdown'], false],
      [['GracefulShutdown'], false],
    ],
  );
  for (const id of ids) assert.deepEqual(runs(id), [first]);
  const { zones, stays } = (await native('GET', '/consolidation')).consolidation;
  assert.deepEqual([zones[0].awake, zones[0].standby], [1, 2]);
  assert.deepEqual(stays, [{ host: first.name, why: 'no_bmc' }]);
  const { services } = await tenancy.client.must('GET', 'compute', '/os-services?binary=nova-compute');
  assert.equal(services.filter(({ status }: { status: string }) => status === 'disabled').length, 2);
});

test('what hosts take is measured by BMCs, and by the counters of one that has none', async () => {
  const [first] = cloud.hosts as [SimulatedHost];
  const zone = join(first.machine.dataDirectory, 'powercap', 'intel-rapl:0');
  mkdirSync(zone, { recursive: true });
  let microjoules = 0;
  const write = () => {
    microjoules += 10_000_000;
    const files = { name: 'package-0', max_energy_range_uj: '262143328850', energy_uj: `${microjoules}` };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(zone, name), `${text}\n`);
  };
  write();
  const timer = setInterval(write, 50);
  try {
    await cloud.until('all of them to be known', async () => {
      const { hosts } = (await native('GET', '/power')).power;
      const of = (name: string) => hosts.find(({ host }: { host: string }) => host === name);
      const others = cloud.hosts.slice(1).map(({ name }) => of(name));
      return (
        of(first.name).source === 'rapl' && of(first.name).watts > 0 && others.every(({ source }) => source === 'off')
      );
    });
  } finally {
    clearInterval(timer);
  }
});

test('a server that finds no host waits until one is woken, and runs there', async () => {
  await tenancy.client.must('POST', 'compute', '/flavors', {
    flavor: { id: 'large', name: 'large', vcpus: 1, ram: 9 * 1024, disk: 1 },
  });
  const ids: ServerId[] = [];
  for (let n = 0; n < 2; n++) ids.push(await createServer({ ...tenancy, flavorId: 'large' }, `large ${n}`));
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  for (const id of ids) assert.equal(runs(id).length, 1);
  assert.notEqual(runs(ids[0]!)[0], runs(ids[1]!)[0]);
  assert.ok(bmcs.some(({ resets }) => resets.includes('On')));
  await cloud.until('its BMC to say what it takes', async () => {
    const { hosts } = (await native('GET', '/power')).power;
    return hosts.some((one: { watts: number; source: string }) => one.watts === 344 && one.source === 'bmc');
  });
  const { services } = await tenancy.client.must('GET', 'compute', '/os-services?binary=nova-compute');
  assert.ok(
    services.some(
      ({ host, status }: { host: string; status: string }) => host === runs(ids[1]!)[0]!.name && status === 'enabled',
    ),
  );
});
