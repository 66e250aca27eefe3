export { asOfSql, hasGapSql, isIdleSql, isInSyncSql, isLateSql, mayBeLateSql, replicaFrom } from './age.ts';
export { chooseReplicaPool } from './placing.ts';
export {
  changeReplica,
  deleteReplica,
  forgetHostReplicas,
  insertReplica,
  noCopy,
  noRound,
  type ReplicaChange,
} from './store.ts';
export type { ReplicaFault, VolumeReplicaRow } from './tables.ts';
