/** Who has users of the range of guests' for what others use of layers: exports, and second copies that take writes. By their records. */
import { exportRecords } from './export/record.ts';
import { receiverRecords } from './receive/record.ts';

export const layerUsers = (dataDirectory: string): { uid: number; id: string }[] => [
  ...exportRecords.read(dataDirectory).map(({ uid, id }) => ({ uid, id })),
  ...receiverRecords.read(dataDirectory).flatMap(({ uid, layerId }) => (uid === null ? [] : [{ uid, id: layerId }])),
];
