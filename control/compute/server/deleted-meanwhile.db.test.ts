/** Servers that are made, or get something, while that which they hang on is deleted: one is refused in words of ours, or both hold; nobody hears of an error of ours. */
import { after } from 'node:test';
import { sql } from 'kysely';
import type { PortId, ServerId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { betweenReadAndWrite, type Maker, testMadeWhileDeleted } from '../../kit/database/test-between.ts';
import { testDatabase } from '../../kit/database/testing.ts';
import { openNetwork } from '../../network/open.ts';
import { testPool, testVolume } from '../../storage/attachment/testing.ts';
import { VolumeService } from '../../storage/volume/index.ts';
import { AggregateService } from '../aggregate/index.ts';
import { removeHost } from '../hypervisor/remove.ts';
import { ServerGroupService } from '../server-group/index.ts';
import * as actions from './actions/index.ts';
import type { ServerVolumeWish } from './create-volumes.ts';
import { serverCloud, silentLog } from './testing.ts';

const own = await testDatabase();
const { database } = own;
const cloud = await serverCloud(database);
const between = await betweenReadAndWrite(own);
after(async () => {
  await between[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});
await sql`update quota set maximum = -1 where project_id is null`.execute(database.query);
const { networks, subnets, securityGroups } = openNetwork({ database });
const groups = new ServerGroupService({ database });
const aggregates = new AggregateService({ database });
const volumes = new VolumeService({ database, images: cloud.images, log: silentLog });
const hostId = await cloud.addHost({ vcpus: 1000, memoryMiB: 10 ** 6 });
await testPool(database, hostId);
const flavor = await cloud.addFlavor();
const { member, admin } = cloud;
const named = (id: string): ServerVolumeWish => ({
  ...{ source: 'volume', id, sizeGib: null, bootIndex: null, tag: null, deleteOnTermination: false, type: null },
});

let number = 0;
async function world() {
  const [made] = await networks.create(member, [{}]);
  const network = made!.id;
  await subnets.create(member, [{ network_id: network, ip_version: 4, cidr: '10.9.0.0/24' }]);
  const port = (await cloud.ports.create(member, [{ network_id: network }]))[0]!.id as PortId;
  const { id: volume } = await testVolume(database, { projectId: cloud.projectId, hostId });
  const group = (await groups.create(member, { name: 'g', policy: 'affinity', maxServersPerHost: null })).id;
  const filter = (await securityGroups.create(member, [{ name: `f ${++number}` }]))[0]!.id;
  const [server] = (await cloud.service.create(member, cloud.wish({ flavor, automatic: 'none' }))).ids as [ServerId];
  await cloud.controller.reconcile(server);
  await cloud.obey(hostId);
  const host = await cloud.addHost({ connected: false });
  const { rows } = await sql<{ name: string }>`select name from host where id = ${host}`.execute(database.query);
  const aggregate = (await aggregates.create(admin, { name: `a ${++number}`, availabilityZone: null })).number;
  return { network, port, volume, group, filter, server, host, hostName: rows[0]!.name, aggregate };
}
type World = Awaited<ReturnType<typeof world>>;

const create = (over: object) => cloud.service.create(member, cloud.wish({ flavor, automatic: 'none', ...over }));
const attached = () => {};

const ends = {
  network: async ({ network, port }: World) => {
    await cloud.ports.delete(member, port);
    await networks.delete(member, network);
  },
  port: ({ port }: World) => cloud.ports.delete(member, port),
  volume: ({ volume }: World) => volumes.delete(admin, volume, { cascade: true, force: true }),
  group: ({ group }: World) => groups.delete(member, group),
  filter: ({ filter }: World) => securityGroups.delete(member, filter),
  server: ({ server }: World) => cloud.service.delete(member, server),
  host: ({ host }: World) => database.transaction(cloudActor, (tx) => removeHost(tx, host)),
  aggregate: ({ aggregate }: World) => aggregates.delete(admin, aggregate),
} as const;

const makers: Readonly<Record<string, Maker<World, keyof typeof ends>>> = {
  'a server on a network': {
    table: 'server',
    make: ({ network }) => create({ ports: [{ networkId: network }] }),
    on: ['network'],
  },
  'a server in a group of filters': {
    table: 'server',
    make: ({ network, filter }) => create({ ports: [{ networkId: network }], securityGroups: [filter] }),
    on: ['filter'],
  },
  'a server with a port': {
    table: 'server_port',
    make: ({ port }) => create({ ports: [{ portId: port }] }),
    on: ['port'],
  },
  'a server with a volume': {
    table: 'volume_attachment',
    make: ({ volume }) => create({ volumes: [named(volume)] }),
    on: ['volume'],
  },
  'a server of a group': { table: 'server', make: ({ group }) => create({ serverGroup: group }), on: ['group'] },
  'an interface': {
    table: 'server_port',
    make: ({ server, port }) =>
      cloud.service.act(member, server, actions.attachInterface, { request: { portId: port }, tag: null, attached }),
    on: ['port', 'server'],
  },
  'an interface on a network': {
    table: 'port',
    make: ({ server, network }) =>
      cloud.service.act(member, server, actions.attachInterface, {
        request: { networkId: network },
        tag: null,
        attached,
      }),
    on: ['network', 'server'],
  },
  'an attachment': {
    table: 'volume_attachment',
    make: ({ server, volume }) =>
      cloud.service.act(member, server, actions.attachVolume, {
        ...{ volumeId: volume, tag: null, deleteOnTermination: false, attached },
      }),
    on: ['volume', 'server'],
  },
  'a place in an aggregate': {
    table: 'aggregate_host',
    make: ({ aggregate, hostName }) => aggregates.addHost(admin, aggregate, hostName),
    on: ['host', 'aggregate'],
  },
};

testMadeWhileDeleted(between, { world, makers, ends });
