/** The area opens itself: its services and what works behind them, made in order, begun and ended together. */
import type { Database } from '../kit/database/database.ts';
import { VolumeTypeService } from './volume-type/index.ts';

export function openStorage({ database }: { database: Database }) {
  return {
    services: { volumeTypes: new VolumeTypeService({ database }) },
  };
}
