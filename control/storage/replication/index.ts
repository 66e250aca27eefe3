export { ReplicaController, type ReplicaControllerOptions } from './controller.ts';
export { type LateReplicas, lateReplicas } from './late.ts';
export {
  type Promotion,
  promoteForServer,
  promoteReplica,
  type ReplicasOfServer,
  replicaAgeSql,
  replicaHostSql,
  replicaMomentSql,
  replicasOfServers,
} from './promote.ts';
export type { ReplicaStep } from './rounds.ts';
export { type HostIsLost, ReplicaService, type ReplicaStatus, type ShownReplica } from './service.ts';
