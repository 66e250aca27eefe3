export { lockPlacement } from './lock.ts';
export { HostPicture, imageHolders, placementGroups } from './picture.ts';
export { type HostCapacity, type Placement, type PlacementRequest, place } from './place.ts';
export { PlacementRound } from './ranking.ts';
