export { type BlockNode, type ChainLimit, chainNodes, type LayerChain, limitOf, lowerNodes } from './chain.ts';
export { LayerFiles } from './layer-files.ts';
export { baseNode, cacheNode, layerFileNode, layerNode, throttleGroup, throttleNodesOf } from './names.ts';
export { type OpenLayer, OpenLayers } from './open-layers.ts';
