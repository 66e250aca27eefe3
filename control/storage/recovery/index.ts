export { missingVolume, recoverAttachments } from './attachments.ts';
export { below, erasable, groupsOf } from './plan.ts';
export { discardLayers, knownAmong, type StorageOutcome, takeUpLayers } from './take-up.ts';
