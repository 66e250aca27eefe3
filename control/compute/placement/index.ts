export { lockPlacement } from './lock.ts';
export { HostPicture, imageHolders } from './picture.ts';
export { type HostCapacity, type Placement, type PlacementRequest, place } from './place.ts';
export { PlacementRound } from './ranking.ts';
