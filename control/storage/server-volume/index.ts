export { type AttachmentRowWish, attachVolume, insertAttachments } from './attach.ts';
export { detachVolume, keepOnTermination, releaseServerVolumes } from './detach.ts';
export { type ServerVolume, serverVolumes, serverVolumesOf } from './list.ts';
