/**
 * What is made while that which it hangs on is deleted: one of the two is refused in words of ours, or both hold; nobody hears of an error of
 * ours. Each pair is stopped where the maker has looked and not yet written.
 */
import { after } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { betweenReadAndWrite, type Maker, testMadeWhileDeleted } from '../kit/database/test-between.ts';
import { testDatabase, testProject } from '../kit/database/testing.ts';
import { openStorage } from './open.ts';
import { silentLog, volumeCloud } from './volume/testing.ts';

const own = await testDatabase();
const between = await betweenReadAndWrite(own);
after(async () => {
  await between[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});
const { database } = own;
const cloud = await volumeCloud(database);
const { member, admin, images } = cloud;
const never = { deleteBackup: async () => {}, manageable: async () => ({ files: [] }) } as never;
const sealer = { seal: () => Buffer.alloc(1), open: () => '' };
const { services } = openStorage({ database, images, sealer, client: never, log: silentLog });
const { volumes, snapshots, volumeTypes, typeEncryptions, defaultTypes, qosSpecs, transfers, groupTypes } = services;
const { groups, groupSnapshots } = services;
await sql`update quota set maximum = -1 where project_id is null`.execute(database.query);

let number = 0;
const name = () => `thing ${++number}`;
const inUse = true;

async function world() {
  const type = (await volumeTypes.create(admin, { name: name(), description: '', public: true, extraSpecs: {} })).id;
  const plain = (await volumeTypes.create(admin, { name: name(), description: '', public: true, extraSpecs: {} })).id;
  const bare = (await volumeTypes.create(admin, { name: name(), description: '', public: false, extraSpecs: {} })).id;
  const volume = (await cloud.made({ type })).id;
  const alone = (await cloud.made({ type })).id;
  const snapshot = (
    await snapshots.create(member, { volumeId: volume, name: '', description: null, metadata: {}, inUse })
  ).id;
  await cloud.obey();
  const groupType = (await groupTypes.create(admin, { name: name(), description: '', public: true, specs: {} })).id;
  const group = (
    await groups.create(member, { name: name(), description: null, type: groupType, volumeTypes: [type], zone: null })
  ).id;
  await groups.update(member, group, { addVolumes: [alone], removeVolumes: [] });
  const emptyType = (await groupTypes.create(admin, { name: name(), description: '', public: true, specs: {} })).id;
  const specs = (await qosSpecs.create(admin, { name: name(), consumer: 'back-end', specs: {} } as never)).id;
  const project = await testProject(database);
  const image = newId();
  await sql`insert into image (id, project_id, name, status, disk_format, container_format, size_bytes, virtual_size_bytes, sha256, visibility)
    values (${image}, ${cloud.projectId}, 'i', 'active', 'qcow2', 'bare', 1000, 1000, 'aa', 'public')`.execute(
    database.query,
  );
  return { type, plain, bare, volume, alone, snapshot, groupType, group, emptyType, specs, project, image };
}
type World = Awaited<ReturnType<typeof world>>;

const ends = {
  plain: ({ plain }: World) => volumeTypes.delete(admin, plain),
  bare: ({ bare }: World) => volumeTypes.delete(admin, bare),
  volume: ({ volume }: World) => volumes.delete(admin, volume, { cascade: true, force: true }),
  alone: ({ alone }: World) => volumes.delete(admin, alone, { cascade: true, force: true }),
  snapshot: ({ snapshot }: World) => snapshots.delete(admin, snapshot, { force: true }),
  group: ({ group }: World) => groups.delete(member, group, { deleteVolumes: true } as never),
  emptyType: ({ emptyType }: World) => groupTypes.delete(admin, emptyType),
  specs: ({ specs }: World) => qosSpecs.delete(admin, specs, { force: true }),
  project: ({ project }: World) => sql`delete from project where id = ${project}`.execute(database.query),
  image: ({ image }: World) => images.delete(member, image),
} as const;

const makers: Readonly<Record<string, Maker<World, keyof typeof ends>>> = {
  'a volume of a type': {
    table: 'volume',
    make: ({ plain }) => volumes.create(member, cloud.wish({ type: plain })),
    on: ['plain'],
  },
  'a volume in a group': {
    table: 'volume',
    make: ({ type, group }) => volumes.create(member, cloud.wish({ type, groupId: group })),
    on: ['group'],
  },
  'a clone': {
    table: 'volume',
    make: ({ volume }) => volumes.create(member, cloud.wish({ sourceVolumeId: volume, sizeGib: null })),
    on: ['volume'],
  },
  'a volume of a snapshot': {
    table: 'volume',
    make: ({ snapshot }) => volumes.create(member, cloud.wish({ snapshotId: snapshot, sizeGib: null })),
    on: ['snapshot', 'volume'],
  },
  'a volume of an image': {
    table: 'volume',
    make: ({ image }) => volumes.create(member, cloud.wish({ imageId: image })),
    on: ['image'],
  },
  'a snapshot': {
    table: 'volume_snapshot',
    make: ({ volume }) =>
      snapshots.create(member, { volumeId: volume, name: '', description: null, metadata: {}, inUse }),
    on: ['volume'],
  },
  'a transfer': {
    table: 'volume_transfer',
    make: ({ volume }) =>
      transfers.create(member, { volumeId: volume, name: '', withSnapshots: true, encrypted: true }),
    on: ['volume', 'snapshot'],
  },
  'a group': {
    table: 'volume_group',
    make: ({ emptyType, plain }) =>
      groups.create(member, { name: name(), description: null, type: emptyType, volumeTypes: [plain], zone: null }),
    on: ['emptyType', 'plain'],
  },
  'a snapshot of a group': {
    table: 'group_snapshot',
    make: ({ group }) => groupSnapshots.create(member, { groupId: group, name: '', description: null }),
    on: ['group', 'alone'],
  },
  'a default type': {
    table: 'volume_type_default',
    make: ({ bare, project }) => defaultTypes.set(admin, project, bare),
    on: ['bare', 'project'],
  },
  'the use of a type': {
    table: 'volume_type_access',
    make: ({ bare, project }) => volumeTypes.addAccess(admin, bare, project),
    on: ['bare', 'project'],
  },
  'specs of a type': {
    table: 'volume_type',
    make: ({ bare, specs }) => qosSpecs.associate(admin, specs, bare),
    on: ['bare', 'specs'],
  },
  'an encryption': {
    table: 'volume_type_encryption',
    make: ({ bare }) =>
      typeEncryptions.create(admin, bare, {
        provider: 'luks',
        control_location: 'front-end',
        cipher: null,
        key_size: null,
      }),
    on: ['bare'],
  },
};

testMadeWhileDeleted(between, { world, makers, ends });
