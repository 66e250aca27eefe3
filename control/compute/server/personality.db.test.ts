import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, PortId, ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { newAdminPassword, serverActions } from './index.ts';
import { type ServerCloud, serverCloud } from './testing.ts';
import type { ServerWish } from './wish.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: HostId;
let flavor: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  host = await cloud.addHost({ vcpus: 100 });
  flavor = await cloud.addFlavor();
});
after(() => db[Symbol.asyncDispose]());

const files = [
  { path: '/etc/motd', contents: 'aGFsbG8=' },
  { path: '/小屋 🏔', contents: '' },
];

const make = async (over: Partial<ServerWish>): Promise<ServerId> => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, adminPassword: null, ...over }));
  await cloud.controller.reconcile(ids[0]!);
  await cloud.obey(host);
  return ids[0]!;
};
const documentOf = async (id: ServerId) =>
  (await cloud.side.desiredServers(db.database.query, { serverIds: [id] }))[0]!;

test('files go to the host in the order of the request, with a config drive nobody asked for', async () => {
  const document = await documentOf(await make({ files }));
  assert.deepEqual(document.files, files);
  assert.equal(document.configDrive, true);
});

test('a rebuild gives the files of its own request, and none of before', async () => {
  const id = await make({ files });
  const rebuild = async (wanted: typeof files) => {
    const wish = { imageId: cloud.imageId, password: newAdminPassword() };
    await cloud.service.act(cloud.member, id, serverActions.rebuild, { ...wish, notes: {}, files: wanted });
    const document = await documentOf(id);
    await cloud.obey(host);
    return document.files;
  };
  assert.deepEqual(await rebuild([files[1]!]), [files[1]]);
  assert.equal(await rebuild([]), undefined);
});

test('a server that no IPv4 address reaches has a config drive unasked; one with any has it when asked', async () => {
  const { networkId } = cloud;
  const withDrive = async (over: Partial<ServerWish>) => (await documentOf(await make(over))).configDrive;
  assert.equal(await withDrive({}), false);
  assert.equal(await withDrive({ configDrive: true }), true);
  await sql`insert into subnet (id, network_id, project_id, ip_version, cidr, gateway_ip, allocation_pools)
    select gen_random_uuid(), ${networkId}, ${cloud.projectId}, 6, 'fd00:9::/64', 'fd00:9::1', '[{"start": "fd00:9::2", "end": "fd00:9::ffff"}]'`.execute(
    db.database.query,
  );
  assert.equal(await withDrive({ ports: [{ networkId }] }), false, 'of both versions');
  assert.equal(
    await withDrive({ ports: [{ networkId, fixedIp: 'fd00:9::77' }] }),
    true,
    'an address of version 6 was chosen',
  );
  const lent = async (ip: string) => {
    const { rows } = await sql<{ id: PortId }>`insert into port (id, project_id, network_id, mac) values
      (gen_random_uuid(), ${cloud.projectId}, ${networkId}, ${`02:00:00:00:01:${ip.slice(-2)}`}::macaddr) returning id`.execute(
      db.database.query,
    );
    const [{ id: portId }] = rows as [{ id: PortId }];
    await sql`insert into port_ip (port_id, subnet_id, network_id, ip)
      select ${portId}, id, network_id, ${ip}::inet from subnet where network_id = ${networkId} and cidr >> ${ip}::inet`.execute(
      db.database.query,
    );
    return withDrive({ ports: [{ portId }] });
  };
  assert.equal(await lent('fd00:9::78'), true, 'a port with an address of version 6 only');
});
