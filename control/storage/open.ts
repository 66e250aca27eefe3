/** The area opens itself: its services and what works behind them, made in order, begun and ended together. */
import type { Logger } from 'pino';
import type { HostClient } from '../host/index.ts';
import type { Sealer } from '../identity/index.ts';
import type { Database } from '../kit/database/database.ts';
import { BackendService } from './backend/index.ts';
import { BackupController, BackupService, type BackupStep } from './backup/index.ts';
import { ConnectionService } from './connection/index.ts';
import { GroupService } from './group/index.ts';
import { GroupSnapshotService } from './group-snapshot/index.ts';
import { GroupTypeService } from './group-type/index.ts';
import { hostedLayers, LayerShortener, tellDigest } from './layer/index.ts';
import { ManageService } from './manage/index.ts';
import { MessageService } from './message/index.ts';
import { StoragePoolService } from './pool/index.ts';
import { QosSpecsService } from './qos-specs/index.ts';
import { ReplicaController, type ReplicaStep } from './replication/index.ts';
import { SnapshotController, SnapshotService, type SnapshotStep } from './snapshot/index.ts';
import { TransferService } from './transfer/index.ts';
import {
  launchComplete,
  type ShownImages,
  VolumeController,
  type VolumeImages,
  VolumeService,
  type VolumeStep,
} from './volume/index.ts';
import { DefaultTypeService, TypeEncryptionService, VolumeTypeService } from './volume-type/index.ts';

export interface StorageAreaOptions {
  database: Database;
  images: VolumeImages & ShownImages;
  /** Seals the keys of encrypted volumes. */
  sealer: Pick<Sealer, 'seal' | 'open'>;
  /** Asked to remove the files of backups, and for files that could become volumes. */
  client: Pick<HostClient, 'deleteBackup' | 'manageable'>;
  log: Logger;
  /** How long operations are kept. */
  operationDays?: number;
  /** For crash tests: throws where the process shall die. */
  afterVolumeStep?: (step: VolumeStep | SnapshotStep | BackupStep | ReplicaStep, id: string) => void;
}

const defaultOperationDays = 30;

export function openStorage(options: StorageAreaOptions) {
  const { database, images, client, sealer, log, operationDays, afterVolumeStep: afterStep } = options;
  const behind = { database, log, ...(afterStep && { afterStep }) };
  const [volumes, snapshots] = [new VolumeController(behind), new SnapshotController(behind)];
  const backups = new BackupController({ ...behind, client });
  const replicas = new ReplicaController(behind);
  const groupTypes = new GroupTypeService({ database });
  const layers = new LayerShortener({ database, log });
  const parts = [layers, volumes, snapshots, backups, replicas];
  const volumeService = new VolumeService({ database, images, log });
  const backends = new BackendService({ database });
  return {
    services: {
      volumes: volumeService,
      snapshots: new SnapshotService({ database, log }),
      connections: new ConnectionService({ database, sealer }),
      volumeTypes: new VolumeTypeService({ database }),
      typeEncryptions: new TypeEncryptionService({ database }),
      defaultTypes: new DefaultTypeService({ database }),
      qosSpecs: new QosSpecsService({ database }),
      transfers: new TransferService({ database }),
      backups: new BackupService({ database, images, log }),
      groupTypes,
      groups: new GroupService({ database, images, groupTypes }),
      groupSnapshots: new GroupSnapshotService({ database }),
      backends,
      manageables: new ManageService({ database, backends, volumes: volumeService, client }),
      pools: new StoragePoolService({ database }),
      messages: new MessageService({ database, keepDays: operationDays ?? defaultOperationDays }),
    },
    /** For the work queue. */
    tasks: { ...volumes.tasks(), ...snapshots.tasks(), ...layers.tasks(), ...backups.tasks(), ...replicas.tasks() },
    start() {
      for (const part of parts) part.start();
    },
    stop() {
      for (const part of parts) part.stop();
    },
    /** What hosts are told and say of layers and pools. */
    hosted: hostedLayers({ database, sealer, log, launch: launchComplete }),
    /** The digest of this image is known now. */
    tellDigest: (imageId: string) => tellDigest(database, imageId),
  };
}
