/** What a flavor lets through the cards of a server (`quota:vif_*`) stands in its ports, wherever the server is and whatever comes of it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, PortId, ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import * as actions from './actions/index.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: HostId;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  host = await cloud.addHost({ vcpus: 200 });
});
after(() => db[Symbol.asyncDispose]());

async function flavorWith(specs: Record<string, string>): Promise<string> {
  const flavor = await cloud.addFlavor();
  await sql`update flavor set extra_specs = ${JSON.stringify(specs)}::jsonb where flavor_id = ${flavor}`.execute(
    db.database.query,
  );
  return flavor;
}

async function limitsOf(id: ServerId): Promise<unknown[]> {
  const { rows } = await sql<{ card_limits: unknown }>`select p.card_limits from port p
    join server_port sp on sp.port_id = p.id where sp.server_id = ${id} order by sp.position`.execute(
    db.database.query,
  );
  return rows.map((row) => row.card_limits);
}

const slow = { outbound: { rate_kbit: 800, burst_kbit: 640 } };

test('every port of a server has the limits of its flavor, those that come later too, and of a resize that is reverted none stay', async () => {
  const flavor = await flavorWith({ 'quota:vif_outbound_average': '100' });
  const wider = await flavorWith({ 'quota:vif_inbound_average': '1000', 'quota:vif_inbound_burst': '125' });
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await cloud.obey(host);
  assert.deepEqual(await limitsOf(id), [slow]);
  const attached: PortId[] = [];
  const wish = { request: { networkId: cloud.networkId }, tag: null, attached: (port: PortId) => attached.push(port) };
  await cloud.service.act(cloud.member, id, actions.attachInterface, wish);
  await cloud.obey(host);
  assert.deepEqual(await limitsOf(id), [slow, slow]);

  await cloud.service.act(cloud.member, id, actions.resize, { flavor: wider });
  const wide = { inbound: { rate_kbit: 8000, burst_kbit: 1024 } };
  assert.deepEqual(await limitsOf(id), [wide, wide]);
  await cloud.obey(host);
  await cloud.service.act(cloud.member, id, actions.revertResize);
  assert.deepEqual(await limitsOf(id), [slow, slow]);
});

test('a port that was lent to a server is free of its limits when it comes back', async () => {
  const flavor = await flavorWith({ 'quota:vif_outbound_average': '100' });
  const [made] = await cloud.ports.create(cloud.member, [{ network_id: cloud.networkId }]);
  const port = made!.id as PortId;
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, ports: [{ portId: port }] }));
  await cloud.controller.reconcile(ids[0]!);
  await cloud.obey(host);
  assert.deepEqual(await limitsOf(ids[0]!), [slow]);
  await cloud.service.act(cloud.member, ids[0]!, actions.detachInterface, port);
  const { rows } = await sql`select card_limits from port where id = ${port}`.execute(db.database.query);
  assert.deepEqual(rows, [{ card_limits: {} }]);
});
