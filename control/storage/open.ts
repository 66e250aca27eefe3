/** The area opens itself: its services and what works behind them, made in order, begun and ended together. */
import type { Logger } from 'pino';
import type { Database } from '../kit/database/database.ts';
import { GroupTypeService } from './group-type/index.ts';
import { hostedLayers, tellDigest } from './layer/index.ts';
import { QosSpecsService } from './qos-specs/index.ts';
import { DefaultTypeService, TypeEncryptionService, VolumeTypeService } from './volume-type/index.ts';

export function openStorage({ database, log }: { database: Database; log: Logger }) {
  return {
    services: {
      volumeTypes: new VolumeTypeService({ database }),
      typeEncryptions: new TypeEncryptionService({ database }),
      defaultTypes: new DefaultTypeService({ database }),
      qosSpecs: new QosSpecsService({ database }),
      groupTypes: new GroupTypeService({ database }),
    },
    /** What hosts are told and say of layers and pools. */
    hosted: hostedLayers({ database, log }),
    /** The digest of this image is known now. */
    tellDigest: (imageId: string) => tellDigest(database, imageId),
  };
}
