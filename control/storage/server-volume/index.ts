export {
  type AttachmentRowWish,
  type AttachmentWish,
  attachVolume,
  insertAttachments,
  type NewAttachment,
  type VolumeServer,
} from './attach.ts';
export { detachVolume, keepOnTermination, releaseServerVolumes } from './detach.ts';
export { type ServerVolume, serverVolumes, serverVolumesOf } from './list.ts';
