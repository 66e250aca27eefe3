export { asOfSql, hasGapSql, isIdleSql, isInSyncSql, isLateSql, mayBeLateSql, replicaFrom } from './age.ts';
export { chooseReplicaPool, type ReplicaWish } from './placing.ts';
export {
  changeReplica,
  deleteReplica,
  forgetHostReplicas,
  insertReplica,
  layersOfReplica,
  noCopy,
  noRound,
  type ReplicaChange,
} from './store.ts';
export type { ReplicaFault, VolumeReplicaRow } from './tables.ts';
