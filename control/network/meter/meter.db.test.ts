/** What hosts say of ports, added up, and who sees it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import type { MeterReading } from '../../../contract/host/index.ts';
import { type HostId, newId, type PortId } from '../../../contract/ids.ts';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type Site, TestSites } from '../reachability/testing.ts';
import { testAdmin } from '../testing.ts';
import type { MeterService } from './index.ts';
import { addReadings } from './store.ts';

let sites: TestSites;
let meters: MeterService;
let at: Site;
const [host, other] = [newId<HostId>(), newId<HostId>()];
before(async () => {
  sites = await TestSites.open();
  meters = sites.network.meters;
  at = await sites.site('10.1.0.0/24');
});
after(() => sites[Symbol.asyncDispose]());

const reading = (port: string, source: string, rxBytes: number): MeterReading => ({
  ...{ source, portId: port as PortId, rxBytes, rxPackets: 1, txBytes: 2 * rxBytes, txPackets: 2 },
});
const record = (...readings: MeterReading[]) => meters.recordReadings(host, readings);
const read = async (port: string) => {
  const { rx_bytes, tx_bytes } = await meters.read(at.caller, port);
  return [rx_bytes, tx_bytes];
};

test('a reading counts once, however often, late and in whatever order it is told', async () => {
  const { id } = await at.guest();
  await record(reading(id, 'first', 100));
  await record(reading(id, 'first', 100));
  await record(reading(id, 'first', 150), reading(id, 'second', 7));
  await record(reading(id, 'first', 120), reading(id, 'first', 150));
  assert.deepEqual(await read(id), [157, 314]);
  await record(reading(id, 'second', 8));
  assert.deepEqual(await read(id), [158, 316]);
});

test('a port that was on two hosts is the sum of both, whatever they call their counters', async () => {
  const { id } = await at.guest();
  await record(reading(id, 'tap', 100));
  await meters.recordReadings(other, [reading(id, 'tap', 10)]);
  await Promise.all([record(reading(id, 'tap', 101)), meters.recordReadings(other, [reading(id, 'tap', 12)])]);
  assert.deepEqual(await read(id), [113, 226]);
});

test('a host counts nothing for a port of another one, but where its server comes from there or goes there', async () => {
  const { query } = sites.db.database;
  const cloud = new TestCloud(sites.db.database);
  const [here, there] = [await cloud.host(), await cloud.host()];
  const tell = (id: string, source: string) => meters.recordReadings(there as HostId, [reading(id, source, 1000)]);
  const [theirs, coming, left] = [await at.guest(), await at.guest(), await at.guest()];
  await sql`update port set host_id = ${here} where id = any(${[theirs.id, coming.id, left.id]}::uuid[])`.execute(
    query,
  );
  await sql`update port set migrating_to = ${there} where id = ${coming.id}`.execute(query);
  const server = newId();
  await sql`update port set device_id = ${server} where id = ${left.id}`.execute(query);
  await sql`insert into server_absence (host_id, server_id, epoch, generation) values (${there}, ${server}, 1, 1)`.execute(
    query,
  );
  for (const { id } of [theirs, coming, left]) await tell(id, `tap of ${id}`);
  await assert.rejects(meters.read(at.caller, theirs.id), (error) => hasReason(error, 'meter_not_found'));
  assert.deepEqual(await read(coming.id), [1000, 2000]);
  assert.deepEqual(await read(left.id), [1000, 2000]);
  await meters.recordReadings(here as HostId, [reading(theirs.id, 'tap', 5)]);
  await tell(theirs.id, 'tap');
  assert.deepEqual(await read(theirs.id), [5, 10]);
});

test('guests that are started again and again are counted for ever: counters of before make room', async () => {
  const { database } = sites.db;
  const [one, still] = [await at.guest(), await at.guest()];
  const host = newId<HostId>();
  const tell = (...readings: MeterReading[]) =>
    database.transaction(cloudActor, (tx) => addReadings(tx, host, readings, 10));
  await tell(reading(still.id, 'the only one', 7));
  for (let start = 1; start <= 30; start++) await tell(reading(one.id, `start ${start}`, 100));
  assert.deepEqual(await read(one.id), [3000, 6000]);
  await tell(reading(one.id, 'start 30', 101), reading(still.id, 'the only one', 8));
  assert.deepEqual(
    [await read(one.id), await read(still.id)],
    [
      [3001, 6002],
      [8, 16],
    ],
  );
  const { rows } = await sql`select from meter_reading where host_id = ${host}`.execute(database.query);
  assert.ok(rows.length <= 10, `${rows.length} are kept`);
  // Nothing makes room for names that are invented beyond that.
  const many = await Promise.all(Array.from({ length: 12 }, () => at.guest()));
  await tell(...many.map(({ id }) => reading(id, `tap of ${id}`, 1)));
  await assert.rejects(meters.read(at.caller, many[0]!.id), (error) => hasReason(error, 'meter_not_found'));
});

test('a floating IP is found by its router and address, and a router by itself', async () => {
  const guest = await at.guest();
  const floatingIp = await at.floating(guest.id);
  const counted = { rxBytes: 10, rxPackets: 1, txBytes: 20, txPackets: 2 };
  await record(
    { source: 'nat', routerId: at.router, floatingIp, ...counted },
    { source: 'gateway', routerId: at.router, ...counted },
    { source: 'nobody', routerId: at.router, floatingIp: '203.0.113.250', ...counted },
    { source: 'elsewhere', routerId: newId(), floatingIp, ...counted },
  );
  const [floating] = (await sites.network.floatingIps.list(at.caller, {})).filter(
    (ip) => ip.floating_ip === floatingIp,
  );
  assert.deepEqual(await read(floating!.id), [10, 20]);
  assert.deepEqual(await read(at.router), [10, 20]);
  const { resource_type } = await meters.read(at.caller, floating!.id);
  assert.equal(resource_type, 'floating_ip');
  await sites.network.floatingIps.delete(at.caller, floating!.id);
  await record({ source: 'nat', routerId: at.router, floatingIp, ...counted, rxBytes: 99 });
  await assert.rejects(meters.read(at.caller, floating!.id), (error) => hasReason(error, 'meter_not_found'));
});

test('what counted for a floating IP counts for no other one that gets its address, and for it behind no router too', async () => {
  const guest = await at.guest();
  const { floatingIps } = sites.network;
  const byAddress = async (address: string) =>
    (await floatingIps.list(at.caller, {})).find(({ floating_ip }) => floating_ip === address)!.id;
  const floatingIp = await at.floating(guest.id);
  const counted = (source: string, rxBytes: number): MeterReading => ({
    ...{ source, routerId: at.router, floatingIp, rxBytes, rxPackets: 1, txBytes: 0, txPackets: 0 },
  });
  await record(counted('first nat', 1000));
  await floatingIps.delete(at.caller, await byAddress(floatingIp));
  const wish = { floating_network_id: sites.external, floating_ip: floatingIp, port_id: guest.id };
  const { id } = await floatingIps.create({ ...testAdmin(), projectId: at.caller.projectId }, wish);
  await record(counted('first nat', 1500));
  await assert.rejects(meters.read(at.caller, id), (error) => hasReason(error, 'meter_not_found'));
  await record(counted('second nat', 7));
  await floatingIps.update(at.caller, id, { port_id: null });
  await record(counted('first nat', 1501), counted('second nat', 9));
  assert.deepEqual(await read(id), [9, 0]);
});

test('what a policy counted belongs to each label that names it, from when the label is there', async () => {
  const admin = testAdmin();
  const { meteringLabels } = sites.network;
  const label = async (rules: object[], over: object = { project_id: at.caller.projectId }) => {
    const { id } = (await meteringLabels.create(admin, [over]))[0]!;
    const wishes = rules.map((rule) => ({ metering_label_id: id, direction: 'ingress' as const, ...rule }));
    await meteringLabels.createRules(admin, wishes);
    return id;
  };
  const all = await label([
    { remote_ip_prefix: '10.1.0.0/16' },
    { direction: 'egress', remote_ip_prefix: '10.1.0.0/16' },
  ]);
  const some = await label([
    { destination_ip_prefix: '10.1.0.0/16' },
    { source_ip_prefix: '192.0.2.0/24', excluded: true },
  ]);
  const counted = (over: object = {}) => ({
    ...{ routerId: at.router, direction: 'ingress' as const, source: '0.0.0.0/0', destination: '10.1.0.0/16', ...over },
  });
  const told = (source: string, rx: number, tx: number, over?: object): MeterReading => ({
    ...{ source, counted: counted(over) },
    ...{ rxBytes: rx, rxPackets: rx && 1, txBytes: tx, txPackets: tx && 1 },
  });
  const bytes = async (id: string) => {
    const { rx_bytes, tx_bytes } = await meters.read(testAdmin(), id);
    return [rx_bytes, tx_bytes];
  };
  const before = await bytes(at.router).catch(() => [0, 0]);
  const readings = [
    told('in', 100, 0),
    told('in, from there', 7, 0, { source: '192.0.2.0/24' }),
    told('out', 0, 30, { direction: 'egress', source: '10.1.0.0/16', destination: '0.0.0.0/0' }),
    told('of nobody', 9, 0, { destination: '10.0.0.0/8' }),
    told('of no prefix', 9, 0, { destination: '10.0.0.0/008' }),
    told('of two versions', 9, 0, { source: '::/0' }),
  ];
  await record(...readings);
  await record(...readings);
  assert.deepEqual(
    [await bytes(all), await bytes(some)],
    [
      [107, 30],
      [100, 0],
    ],
  );
  assert.deepEqual(await bytes(at.router), before, 'the gateway counts by itself');
  const elsewhere = await sites.site('10.3.0.0/24');
  const shared = await label([{ remote_ip_prefix: '10.1.0.0/16' }], {
    ...{ shared: true, project_id: elsewhere.caller.projectId! },
  });
  await meteringLabels.delete(admin, all);
  await record(told('in', 101, 0));
  assert.deepEqual(
    [await bytes(shared), await bytes(some)],
    [
      [1, 0],
      [101, 0],
    ],
  );
  await assert.rejects(bytes(all), (error) => hasReason(error, 'meter_not_found'));
  const { resource_type } = await meters.read(at.caller, some);
  assert.equal(resource_type, 'metering_label');
  await assert.rejects(meters.read(at.caller, shared), (error) => hasReason(error, 'meter_not_found'));
  await record(told('there', 50, 0, { routerId: elsewhere.router }));
  assert.deepEqual(
    [await bytes(shared), await bytes(some)],
    [
      [51, 0],
      [101, 0],
    ],
  );
});

test('what a label counts is exact while others come and go, with rules that overlap its own, and hosts tell at once', async () => {
  const admin = testAdmin();
  const { meteringLabels, meters } = sites.network;
  const there = await sites.site('10.4.0.0/24');
  const label = async () => {
    const { id } = (await meteringLabels.create(admin, [{ project_id: there.caller.projectId! }]))[0]!;
    const prefix = (bits: number) => ({ destination_ip_prefix: `10.4.0.0/${bits}` });
    const wishes = [16, 24, 26].map((bits) => ({
      metering_label_id: id,
      direction: 'ingress' as const,
      ...prefix(bits),
    }));
    return { id, rules: await meteringLabels.createRules(admin, wishes) };
  };
  const stays = await label();
  const comeAndGo = async () => {
    for (let times = 0; times < 4; times++) {
      const { id, rules } = await label();
      await meteringLabels.deleteRule(admin, rules[1]!.id);
      await meteringLabels.delete(admin, id);
    }
  };
  let total = 0;
  const tell = async (hostId: HostId) => {
    for (let bytes = 100; bytes <= 1500; bytes += 100) {
      const readings = [16, 24, 26].map((bits) => ({
        ...{ source: `label ${bits}`, rxBytes: bytes, rxPackets: 1, txBytes: 0, txPackets: 0 },
        counted: {
          ...{ routerId: there.router, direction: 'ingress' as const },
          ...{ source: '0.0.0.0/0', destination: `10.4.0.0/${bits}` },
        },
      }));
      await meters.recordReadings(hostId, readings);
    }
    total += 3 * 1500;
  };
  const told = Array.from({ length: 6 }, () => newId<HostId>());
  await Promise.all([...told.map(tell), ...Array.from({ length: 6 }, comeAndGo)]);
  assert.equal((await meters.read(admin, stays.id)).rx_bytes, total);
  await Promise.all(told.map(tell));
  assert.equal((await meters.read(admin, stays.id)).rx_bytes, total / 2, 'told again');
});

test('one host told by two streams at once counts once', async () => {
  const { id } = await at.guest();
  await Promise.all([1, 2, 3].map(() => record(reading(id, 'at once', 100))));
  assert.deepEqual(await read(id), [100, 200]);
});

test('of what is no port any more nothing is kept, and the others are recorded', async () => {
  const [{ id }, gone] = [await at.guest(), await at.guest()];
  await record(reading(gone.id, 'gone', 1));
  await sites.network.ports.delete(at.caller, gone.id);
  await record(reading(gone.id, 'gone', 5), reading(newId(), 'never', 5), reading(id, 'stays', 5));
  assert.deepEqual(await read(id), [5, 10]);
  await assert.rejects(meters.read(at.caller, gone.id), (error) => hasReason(error, 'meter_not_found'));
});

test('more than JavaScript counts exactly stays what it is', async () => {
  const { id } = await at.guest();
  await record(reading(id, 'much', 2 ** 52), reading(id, 'more', 2 ** 52), reading(id, 'most', 2 ** 52));
  assert.deepEqual(await read(id), [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
});

test('a meter is its project’s to see, and the administrators’', async () => {
  const { id } = await at.guest();
  await record(reading(id, 'mine', 1));
  const stranger = await sites.site('10.2.0.0/24');
  assert.deepEqual(await meters.list(stranger.caller, {}), []);
  await assert.rejects(meters.read(stranger.caller, id), (error) => hasReason(error, 'meter_not_found'));
  await assert.rejects(meters.read(at.caller, 'no id'), (error) => hasReason(error, 'meter_not_found'));
  const { resource_type, project_id } = await meters.read(testAdmin(), id);
  assert.deepEqual([resource_type, project_id], ['port', at.caller.projectId]);
  const ports = { filters: [{ column: 'resource_type', values: ['port'] }] };
  assert.ok((await meters.list(at.caller, ports)).some((meter) => meter.id === id));
});
