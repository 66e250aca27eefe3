export { lockPlacement } from './lock.ts';
export { HostPicture, imageHolders, placementGroups } from './picture.ts';
export { place } from './place.ts';
export { PlacementRound } from './ranking.ts';
export { type HostCapacity, type MachineNeed, type Placement, type PlacementRequest, requestOf } from './request.ts';
