export {
  type HostRow,
  type HostSnapshot,
  listHosts,
  lockPlacement,
  placementSnapshot,
  serversOfHosts,
  setHostEnabled,
} from './hosts.ts';
export { type HostCapacity, type Placement, type PlacementRequest, place } from './place.ts';
export { PlacementService, type Zone } from './service.ts';
