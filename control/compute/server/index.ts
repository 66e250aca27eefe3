export type { ServerInterface } from '../../network/port/server-views.ts';
export * as serverActions from './actions/index.ts';
export { newAdminPassword } from './admin-password.ts';
export { hostOfServer, requireConsole } from './console.ts';
export { type ControllerStep, ServerController, type ServerControllerOptions } from './controller.ts';
export { rootVolume, type ServerVolumeWish } from './create-volumes.ts';
export { hostLossEvidence } from './evacuation-evidence.ts';
export { evacuationPolicyOf, setEvacuationPolicy } from './evacuation-policy.ts';
export { Evacuator, type EvacuatorOptions } from './evacuator.ts';
export { hostedServers } from './hosted-servers.ts';
export { tellDigest } from './image-digest.ts';
export type { ServerFilter, SortKey } from './list.ts';
export { type LocalDiskWish, localGib } from './local-disks.ts';
export { comeToNothing, forgetKept } from './migrating.ts';
export { placeMove } from './moving.ts';
export { replacePersonality } from './personality.ts';
export { proveServer } from './proof.ts';
export { keepRefuges, needsRefuge } from './refuges.ts';
export {
  callOffRelocations,
  confirmRelocated,
  isRelocationRefusal,
  relocate,
  relocationForecast,
} from './relocating.ts';
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
  serverStatus,
  type TaskState,
  taskState,
  type VmState,
  vmState,
} from './states.ts';
export { stateColumns } from './states-sql.ts';
export type { ServerNotes, ServerOperation } from './store.ts';
export { wayOfServer } from './way.ts';
export { type PlacementWhy, whyOfServer } from './why.ts';
export type { ServerWish } from './wish.ts';
