export { type BlockNode, chainNodes, type LayerChain, lowerNodes } from './chain.ts';
export { LayerFiles } from './layer-files.ts';
export { baseNode, cacheNode, layerFileNode, layerNode } from './names.ts';
export { type OpenLayer, OpenLayers } from './open-layers.ts';
