export { carriedTopSql, type DesiredVolumeRow, desiredVolumesOf, volumeDocument } from './desired.ts';
export {
  type AttachmentChange,
  applyVolumes,
  attachmentsOfServer,
  type KnownAttachment,
  recordVolumes,
  volumesLeftHost,
  wakeOf,
} from './observed.ts';
export { tellServers, topIsInForceSql } from './tell.ts';
