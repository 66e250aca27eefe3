export { copiedBytes, copyChain } from './copy.ts';
export { hostedLayers } from './hosted-layers.ts';
export { tellDigest } from './image-digest.ts';
export { hasFailed, hasFailedInSql, isLost, isLostInSql, isServed, isServedInSql } from './layer.ts';
export { releaseLayers } from './release.ts';
export { forgetHostLayers } from './reports.ts';
export { LayerShortener } from './shorten.ts';
export {
  addBackup,
  addCapture,
  endBackup,
  endCapture,
  filesOf,
  findLayer,
  freezeLayer,
  growLayer,
  insertLayer,
  type LayerBase,
  type NewLayer,
} from './store.ts';
export type { LayerCapture, LayerRow, LayerSource } from './tables.ts';
