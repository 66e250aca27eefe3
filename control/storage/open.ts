/** The area opens itself: its services and what works behind them, made in order, begun and ended together. */
import type { Database } from '../kit/database/database.ts';
import { GroupTypeService } from './group-type/index.ts';
import { QosSpecsService } from './qos-specs/index.ts';
import { DefaultTypeService, TypeEncryptionService, VolumeTypeService } from './volume-type/index.ts';

export function openStorage({ database }: { database: Database }) {
  return {
    services: {
      volumeTypes: new VolumeTypeService({ database }),
      typeEncryptions: new TypeEncryptionService({ database }),
      defaultTypes: new DefaultTypeService({ database }),
      qosSpecs: new QosSpecsService({ database }),
      groupTypes: new GroupTypeService({ database }),
    },
  };
}
