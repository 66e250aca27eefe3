/** Backups in a cloud of volumes whose host does what it is told. Tests only. */
import { sql } from 'kysely';
import { ImageService } from '../../image/index.ts';
import type { VolumeCloud } from '../volume/testing.ts';
import { silentLog } from '../volume/testing.ts';
import { BackupController, BackupService, type BackupStep, type BackupWish, type ListedBackup } from './index.ts';

export interface BackupCloud {
  backups: BackupService;
  controller: BackupController;
  /** Files that the host was told to remove. */
  removed: string[];
  /** The host answers no request as long as this is true. */
  away: boolean;
  dyingController(step: BackupStep): BackupController;
  wish(volumeId: string, over?: Partial<BackupWish>): BackupWish;
  /** A backup that its host has made. */
  made(volumeId: string, over?: Partial<BackupWish>): Promise<ListedBackup>;
  /** The host has made the backups that it is asked for, or could not. */
  obey(error?: { code: string; message: string }): Promise<void>;
  settle(): Promise<void>;
}

export function backupCloud(cloud: VolumeCloud): BackupCloud {
  const { database } = cloud;
  const images = new ImageService({ database, log: silentLog });
  const client = {
    async deleteBackup(_host: unknown, name: string) {
      if (backupsOf.away) throw new Error('no answer');
      backupsOf.removed.push(name);
    },
  };
  const deps = { database, client, log: silentLog };
  const backupsOf: BackupCloud = {
    ...{ backups: new BackupService({ database, images, log: silentLog }), controller: new BackupController(deps) },
    ...{ removed: [], away: false },
    dyingController: (step) =>
      new BackupController({
        ...deps,
        afterStep(reached) {
          if (reached === step) throw new Error(`died after '${step}'`);
        },
      }),
    wish: (volumeId, over = {}) => ({
      ...{ volumeId, snapshotId: null, name: 'b', description: null, metadata: {}, container: null, zone: null },
      ...{ incremental: false, force: false, ...over },
    }),
    async made(volumeId, over) {
      const { id } = await backupsOf.backups.create(cloud.member, backupsOf.wish(volumeId, over));
      await backupsOf.obey();
      await backupsOf.controller.reconcile(id);
      return backupsOf.backups.get(cloud.member, id);
    },
    async obey(error) {
      await cloud.obey();
      const result = error ? null : { size_bytes: 7, sha256: 'ab'.repeat(32) };
      await sql`update volume_layer set desired_source = null, observed_backups = coalesce((select jsonb_agg(
          jsonb_build_object('id', b ->> 'id', 'result', ${JSON.stringify(result)}::jsonb, 'error', ${JSON.stringify(error ?? null)}::jsonb))
          from jsonb_array_elements(desired_backups) b), '[]')`.execute(database.query);
    },
    async settle() {
      const { rows } = await sql<{ id: string }>`select id from backup`.execute(database.query);
      for (const { id } of rows) await backupsOf.controller.reconcile(id);
      await cloud.settle();
    },
  };
  return backupsOf;
}
