export type { PlacementGroup } from './groups.ts';
export { HintedHosts, type HostHints, hostHintsSql } from './host-hints.ts';
export { lockPlacement } from './lock.ts';
export { HostPicture, imageHolders, placementGroups } from './picture.ts';
export { place } from './place.ts';
export { brokenOnTheWay, type ProofCheck, prove } from './proof.ts';
export { PlacementRound } from './ranking.ts';
export { findRefuge } from './refuge.ts';
export {
  type Alternative,
  type HostCapacity,
  type HostVerdict,
  type MachineNeed,
  type Placement,
  type PlacementPolicy,
  type PlacementRequest,
  type Refusal,
  type Room,
  requestOf,
} from './request.ts';
export type { Survive } from './tables.ts';
export { withTunnels } from './tunnels.ts';
export { wakeHosts } from './wake.ts';
export { inNumbers } from './why.ts';
