/** Which second copies this host takes writes to, where, and as whom: `<data>/receivers/<layer id>.json`. No key is in it. */
import type { LayerId, VolumeId } from '../../../contract/ids.ts';
import { LayerRecords } from '../layer-records.ts';

export interface ReceiverRecord {
  layerId: LayerId;
  volumeId: VolumeId;
  /** Null (tests): as this process. */
  uid: number | null;
  address: string;
  /** Null: it does not take writes yet. */
  port: number | null;
}

export const receiverRecords = new LayerRecords<ReceiverRecord>('receivers', { asOurselves: true });
