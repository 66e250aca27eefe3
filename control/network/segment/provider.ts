/** How a network is carried: the rules for its provider attributes. Pure. */
import { CloudError } from '../../../contract/errors.ts';

export type NetworkType = 'geneve' | 'flat' | 'vlan' | 'local';

export interface ProviderWish {
  provider_network_type?: string | undefined;
  provider_physical_network?: string | null | undefined;
  provider_segmentation_id?: number | null | undefined;
}

export interface Provider {
  type: NetworkType;
  physicalNetwork: string | null;
  /** Null for geneve: the next free one. */
  segmentationId: number | null;
  maximumMtu: number;
}

/** What a frame may carry without and with Geneve's header (58 bytes over IPv4) on an underlay of 1,500. */
const plainMtu = 1500;
const geneveMtu = 1442;

export function chooseProvider(wish: ProviderWish): Provider {
  const type = wish.provider_network_type ?? 'geneve';
  const physicalNetwork = wish.provider_physical_network ?? null;
  const segmentationId = wish.provider_segmentation_id ?? null;
  if (wish.provider_network_type === undefined && (physicalNetwork !== null || segmentationId !== null)) {
    throw new CloudError('invalid', 'network_type_required', {});
  }
  const without = (attribute: 'physical_network' | 'segmentation_id') =>
    new CloudError('invalid', 'provider_attribute_not_of_type', { attribute, type });
  switch (type) {
    case 'geneve':
      if (physicalNetwork !== null) throw without('physical_network');
      if (segmentationId !== null && (segmentationId < 1 || segmentationId > 0xffffff)) {
        throw new CloudError('invalid', 'segmentation_id_out_of_range', { maximum: 0xffffff });
      }
      return { type, physicalNetwork, segmentationId, maximumMtu: geneveMtu };
    case 'flat':
      if (physicalNetwork === null) throw new CloudError('invalid', 'physical_network_required', { type });
      if (segmentationId !== null) throw without('segmentation_id');
      return { type, physicalNetwork, segmentationId, maximumMtu: plainMtu };
    case 'vlan':
      if (physicalNetwork === null) throw new CloudError('invalid', 'physical_network_required', { type });
      if (segmentationId === null || segmentationId < 1 || segmentationId > 4094) {
        throw new CloudError('invalid', 'segmentation_id_out_of_range', { maximum: 4094 });
      }
      return { type, physicalNetwork, segmentationId, maximumMtu: plainMtu };
    case 'local':
      if (physicalNetwork !== null) throw without('physical_network');
      if (segmentationId !== null) throw without('segmentation_id');
      return { type, physicalNetwork, segmentationId, maximumMtu: plainMtu };
    default:
      throw new CloudError('invalid', 'network_type_not_supported', { type });
  }
}
