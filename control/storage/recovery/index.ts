export { missingVolume, recoverAttachments } from './attachments.ts';
export { erasable, groupsOf } from './plan.ts';
export { discardLayers, knownAmong, takeUpLayers } from './take-up.ts';
