/** What this host has exported, and as whom: `<data>/exports/<layer id>.json`. */
import type { DesiredExport } from '../../../contract/host/index.ts';
import type { LayerId, VolumeId } from '../../../contract/ids.ts';
import { LayerRecords } from '../layer-records.ts';

export interface ExportRecord extends Omit<DesiredExport, 'secretId'> {
  layerId: LayerId;
  volumeId: VolumeId;
  uid: number;
  /** The machine was let in: what runs is whole. */
  ready: boolean;
  /** Its limits can be changed while it runs. Absent: an older Bothy began it. */
  throttled?: boolean;
}

/** In the run directory of an export: its storage daemon's monitor. */
export const qmpName = 'qmp.sock';
/** Cinder's name for the target of a volume. */
export const iqnOf = (volumeId: string): string => `iqn.2010-10.org.openstack:volume-${volumeId}`;

export const exportRecords = new LayerRecords<ExportRecord>('exports', { asOurselves: false });
