/** How a network is carried: the rules for its provider attributes. Pure. */
import { invalidInput } from '../../kit/refusal.ts';

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
    throw invalidInput('provider:network_type required');
  }
  const without = (name: string) => invalidInput(`provider:${name} specified for ${type} network`);
  switch (type) {
    case 'geneve':
      if (physicalNetwork !== null) throw without('physical_network');
      if (segmentationId !== null && (segmentationId < 1 || segmentationId > 0xffffff)) {
        throw invalidInput('segmentation_id out of range (1 through 16777215)');
      }
      return { type, physicalNetwork, segmentationId, maximumMtu: geneveMtu };
    case 'flat':
      if (physicalNetwork === null) throw invalidInput('physical_network required for flat provider network');
      if (segmentationId !== null) throw without('segmentation_id');
      return { type, physicalNetwork, segmentationId, maximumMtu: plainMtu };
    case 'vlan':
      if (physicalNetwork === null) throw invalidInput('physical_network required for vlan provider network');
      if (segmentationId === null || segmentationId < 1 || segmentationId > 4094) {
        throw invalidInput('segmentation_id out of range (1 through 4094)');
      }
      return { type, physicalNetwork, segmentationId, maximumMtu: plainMtu };
    case 'local':
      if (physicalNetwork !== null) throw without('physical_network');
      if (segmentationId !== null) throw without('segmentation_id');
      return { type, physicalNetwork, segmentationId, maximumMtu: plainMtu };
    default:
      throw invalidInput(`network_type value '${type}' not supported`);
  }
}
