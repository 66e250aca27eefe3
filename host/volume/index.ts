export {
  type BlockNode,
  type ChainLimit,
  chainNodes,
  keysOf,
  type LayerChain,
  limitOf,
  lowerNodes,
  secretObjects,
} from './chain.ts';
export { LayerFiles } from './layer-files.ts';
export {
  baseNode,
  cacheNode,
  copyNames,
  layerFileNode,
  layerNode,
  movedVolume,
  movedVolumeNode,
  readNodes,
  readSlots,
  throttleGroup,
  throttleNodesOf,
} from './names.ts';
export { type OpenLayer, OpenLayers } from './open-layers.ts';
export { forgetKeys, keysIn } from './secrets.ts';
