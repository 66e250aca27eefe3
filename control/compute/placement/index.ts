export {
  type HostRow,
  listHosts,
  lockPlacement,
  serversOfHosts,
  setHostEnabled,
} from './hosts.ts';
export { HostPicture, imageHolders } from './picture.ts';
export { type HostCapacity, type Placement, type PlacementRequest, place } from './place.ts';
export { PlacementRound } from './ranking.ts';
export { PlacementService, type Zone } from './service.ts';
