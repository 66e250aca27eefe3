/** The resources of this area, each after those that it refers to. */
import type { ResourceDescriptor } from '../kit/resource.ts';
import { volumeAttachment } from './attachment/resource.ts';
import { backup } from './backup/resource.ts';
import { volumeGroup } from './group/resource.ts';
import { groupSnapshot } from './group-snapshot/resource.ts';
import { groupType } from './group-type/resource.ts';
import { volumeLayer } from './layer/resource.ts';
import { storagePool } from './pool/resource.ts';
import { qosSpecs } from './qos-specs/resource.ts';
import { volumeReplica } from './replica/resource.ts';
import { volumeSnapshot } from './snapshot/resource.ts';
import { volumeTransfer } from './transfer/resource.ts';
import { volume } from './volume/resource.ts';
import { volumeType } from './volume-type/resource.ts';

export const storageResources: readonly ResourceDescriptor[] = [
  ...[storagePool, qosSpecs, volumeType, groupType, volumeLayer],
  ...[volumeGroup, volume, volumeReplica, groupSnapshot, volumeSnapshot, volumeAttachment, volumeTransfer, backup],
];
