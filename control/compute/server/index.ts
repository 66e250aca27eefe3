export type { ServerInterface } from '../../network/port/server-views.ts';
export * as serverActions from './actions/index.ts';
export { newAdminPassword } from './admin-password.ts';
export { hostOfServer, requireConsole } from './console.ts';
export { type ControllerStep, ServerController, type ServerControllerOptions } from './controller.ts';
export type { CreatedServers } from './create.ts';
export { rootVolume, type ServerVolumeWish } from './create-volumes.ts';
export type {
  BootImage,
  ServerHosts,
  ServerImages,
  ServerPorts,
} from './dependencies.ts';
export { desiredServers } from './desired.ts';
export { hostLossEvidence } from './evacuation-evidence.ts';
export { evacuationPolicyOf, setEvacuationPolicy } from './evacuation-policy.ts';
export { Evacuator, type EvacuatorOptions } from './evacuator.ts';
export { hostedServers } from './hosted-servers.ts';
export { tellDigest } from './image-digest.ts';
export { patternFields, type ServerFilter, type SortKey, sortKeys } from './list.ts';
export { type LocalDiskWish, localGib } from './local-disks.ts';
export { findTarget, type MoveWish, placeMove, releaseClaim } from './moving.ts';
export { replacePersonality } from './personality.ts';
export { proveServer, type ServerProof } from './proof.ts';
export { keepRefuges, needsRefuge } from './refuges.ts';
export {
  callOffRelocations,
  confirmRelocated,
  isRelocationRefusal,
  type RelocationKind,
  relocate,
  relocationForecast,
} from './relocating.ts';
export { recordReports } from './reports.ts';
export type { ListedServer, ServerRow, ShownServer } from './server.ts';
export { maxTags, ServerService, type ServerServiceOptions } from './service.ts';
export type {
  EvacuationPolicy,
  FlavorSnapshot,
  KeySnapshot,
  LocalDisk,
  ServerImage,
  ServerMachine,
} from './snapshots.ts';
export {
  isServerStatus,
  powerState,
  type ServerRescue,
  type ServerState,
  type ServerStatus,
  serverStatus,
  type TaskState,
  taskState,
  type VmState,
  vmState,
} from './states.ts';
export { stateColumns } from './states-sql.ts';
export type { ServerNotes, ServerOperation } from './store.ts';
export { type ServerWay, wayOfServer } from './way.ts';
export { type PlacementWhy, type ServerWhy, whyOfServer } from './why.ts';
export type { ServerWish } from './wish.ts';
