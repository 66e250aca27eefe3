export { capabilitiesOf, hostExportsSql, unmetSpecs } from './capabilities.ts';
export { choose, chooseTogether, type PoolChoice, type PoolState, type PoolVerdict, type PoolWish } from './choose.ts';
export { declaredPools, recordLevels, recordPools } from './facts.ts';
export { type PoolFigures, poolFigures } from './figures.ts';
export { basesOf, layerHolders } from './holders.ts';
export {
  chooseFrom,
  choosePool,
  lockPools,
  type PoolSearch,
  placeOf,
  poolsFor,
  readPools,
  recordPoolChoice,
  requireRoom,
  seenLately,
} from './placement.ts';
export { StoragePoolService } from './service.ts';
