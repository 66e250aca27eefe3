export { asOfSql, isIdleSql, isLateSql, replicaFrom } from './age.ts';
export { chooseReplicaPool, type ReplicaWish } from './placing.ts';
export {
  changeReplica,
  deleteReplica,
  forgetHostReplicas,
  insertReplica,
  layersOfReplica,
  noRound,
  type ReplicaChange,
} from './store.ts';
export type { ReplicaFault, VolumeReplicaRow } from './tables.ts';
