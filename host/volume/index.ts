export { type BlockNode, chainNodes, keysOf, type LayerChain, limitOf, secretObjects } from './chain.ts';
export { LayerFiles } from './layer-files.ts';
export {
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
export { forgetKeys, keysIn } from './secrets.ts';
