/** A project with volumes, on a host that does what it is told, in a test database. Tests only. */
import { sql } from 'kysely';
import pino from 'pino';
import { type HostId, type ImageId, newId, newOrderedId, type ProjectId } from '../../../contract/ids.ts';
import { ImageService } from '../../image/index.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { testProject, testUser } from '../../kit/database/testing.ts';
import { SnapshotController, SnapshotService } from '../snapshot/index.ts';
import { testPool } from '../testing.ts';
import { VolumeController, type VolumeStep } from './controller.ts';
import { emptyWish, type VolumeWish } from './create.ts';
import { VolumeService } from './service.ts';
import { volumeStatus } from './states.ts';
import type { ListedVolume } from './volume.ts';

export const silentLog = pino({ level: 'silent' });
export const oddName = '卷 🏔 "x"; drop';

export const callerOf = (projectId: string | null, roles: string[] = ['member', 'reader']): Caller => ({
  ...{ requestId: `req-${newId()}`, userId: newId(), userName: 'someone', userDomainId: newId() },
  ...{ projectId: projectId as ProjectId | null, projectName: projectId && 'a project', projectDomainId: null },
  ...{ domainId: null, system: false, roles: new Set(roles), applicationCredential: null },
});

export interface VolumeCloud {
  database: Database;
  projectId: ProjectId;
  member: Caller;
  admin: Caller;
  hostId: HostId;
  poolId: string;
  imageId: ImageId;
  images: ImageService;
  volumes: VolumeService;
  snapshots: SnapshotService;
  controller: VolumeController;
  snapshotController: SnapshotController;
  dyingController(step: VolumeStep): VolumeController;
  wish(over?: Partial<VolumeWish>): VolumeWish;
  /** A volume that its host has made. */
  made(over?: Partial<VolumeWish>): Promise<ListedVolume>;
  status(id: string): Promise<string>;
  /** What the host would report if it had done all that it is told; layers that shall be absent are forgotten. */
  report(): Promise<void>;
  /** It does, and the controllers look at what that completes: its word wakes them. */
  obey(): Promise<void>;
  /** Runs the controllers for all there is. */
  settle(): Promise<void>;
  /** A server of the project that has the volume, as its host says, and writes to its present top. */
  attach(volumeId: string): Promise<{ serverId: string; attachmentId: string }>;
  /** Its host says that its guest has been switched to the present tops of all its volumes. */
  reportSwitch(serverId: string): Promise<void>;
  /** It does, and the controllers look at what waited for that. */
  switchOver(serverId: string): Promise<void>;
}

/** The controllers look at what is not complete yet, as hosts' words have them do. */
export async function lookAtIncomplete(database: Database): Promise<void> {
  const deps = { database, log: silentLog };
  const volumes = await sql<{ id: string }>`select id from volume where launched_at is null`.execute(database.query);
  for (const { id } of volumes.rows) await new VolumeController(deps).reconcile(id);
  const snapshots = await sql<{ id: string }>`select id from volume_snapshot where ready_at is null`.execute(
    database.query,
  );
  for (const { id } of snapshots.rows) await new SnapshotController(deps).reconcile(id);
}

export async function volumeCloud(database: Database): Promise<VolumeCloud> {
  const [projectId, imageId] = [await testProject(database), newId<ImageId>()];
  const { id: poolId, host_id: hostId } = await testPool(database);
  const db = database.query;
  await sql`insert into image (id, project_id, name, status, disk_format, container_format, size_bytes, virtual_size_bytes, sha256,
      visibility, owner_properties, min_disk_gib)
    values (${imageId}, ${projectId}, ${oddName}, 'active', 'qcow2', 'bare', 1000, ${2 ** 30}, 'aa', 'public',
      '{"hw_disk_bus": "virtio"}', 1)`.execute(db);
  const images = new ImageService({ database, log: silentLog });
  const deps = { database, images, log: silentLog };
  const volumes = new VolumeService(deps);
  const dyingController = (step: VolumeStep) =>
    new VolumeController({
      ...deps,
      afterStep(reached) {
        if (reached === step) throw new Error(`died after '${step}'`);
      },
    });
  const cloud: VolumeCloud = {
    ...{ database, projectId, hostId, poolId, imageId, images, volumes, dyingController },
    ...{ member: callerOf(projectId), admin: callerOf(projectId, ['admin', 'manager', 'member', 'reader']) },
    snapshots: new SnapshotService(deps),
    controller: new VolumeController(deps),
    snapshotController: new SnapshotController(deps),
    wish: (over = {}) => ({ ...emptyWish, name: oddName, sizeGib: 1, ...over }),
    async made(over) {
      const { id } = await volumes.create(cloud.member, cloud.wish(over));
      await cloud.obey();
      return volumes.get(cloud.member, id);
    },
    status: async (id) => volumeStatus(await volumes.get(cloud.admin, id)),
    async report() {
      await sql`delete from volume_layer where desired_presence = 'absent'`.execute(db);
      await sql`update volume_layer set observed_state = 'ready', desired_source = case when desired_source ? 'copy_of' then null else desired_source end, observed_generation = generation, observed_epoch = epoch,
        observed_size_bytes = size_bytes, observed_error = null, observed_captures = coalesce((select jsonb_agg(
          jsonb_build_object('image_id', c ->> 'image_id', 'result', jsonb_build_object('sizeBytes', 5, 'virtualSizeBytes', size_bytes),
            'error', null)) from jsonb_array_elements(desired_captures) c), '[]')`.execute(db);
    },
    async obey() {
      await cloud.report();
      await lookAtIncomplete(database);
    },
    async settle() {
      const { rows } = await sql<{ id: string }>`select id from volume`.execute(db);
      for (const { id } of rows) await cloud.controller.reconcile(id);
      const snapshots = await sql<{ id: string }>`select id from volume_snapshot`.execute(db);
      for (const { id } of snapshots.rows) await cloud.snapshotController.reconcile(id);
    },
    async attach(volumeId) {
      const [serverId, attachmentId] = [newOrderedId(), newId()];
      await sql`insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib,
          reservation_id, host_id, observed_generation, observed_state)
        values (${serverId}, ${projectId}, ${newId()}, 'x', 'x', ${newId()}, '{}', 1, 1, 1, 'r', ${hostId}, 1, 'running')`.execute(
        db,
      );
      await sql`insert into volume_attachment (id, project_id, volume_id, server_id, slot, device, observed_state, observed_layer_id,
          observed_size_bytes, attached_at)
        select ${attachmentId}, project_id, id, ${serverId}, 0, '/dev/vdb', 'attached', layer_id, size_gib * 1073741824::bigint, now()
        from volume where id = ${volumeId}`.execute(db);
      return { serverId, attachmentId };
    },
    async reportSwitch(serverId) {
      await sql`update server set observed_generation = generation where id = ${serverId}`.execute(db);
      await sql`update volume_attachment a set observed_layer_id = v.layer_id, observed_size_bytes = v.size_gib * 1073741824::bigint
        from volume v where v.id = a.volume_id and a.server_id = ${serverId}`.execute(db);
    },
    async switchOver(serverId) {
      await cloud.reportSwitch(serverId);
      await lookAtIncomplete(database);
    },
  };
  for (const { userId } of [cloud.member, cloud.admin]) await testUser(database, userId);
  return cloud;
}
