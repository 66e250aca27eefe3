export { ReplicaController } from './controller.ts';
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
export { ReplicaService, type ShownReplica } from './service.ts';
