export {
  beginCapture,
  failCapture,
  finishCapture,
  inheritedFrom,
  removeSavedDisk,
  rotateBackups,
} from './capture.ts';
export { ImageController } from './controller.ts';
export { ImageCopies } from './copies.ts';
export { ImageDigests } from './digests.ts';
export { fileFormat, type ImageAttributes, type ImageChange, isKeyProperty, limits, ownerOf } from './image.ts';
export { ImageImporter } from './importer.ts';
export { ImageImportService, type TaskPage, taskLifeHours } from './imports.ts';
export type { Comparison, ImageFilter, ImageListOptions, SortKey } from './list.ts';
export { ImageMemberService } from './members.ts';
export { insertImageOfVolumes } from './of-volumes.ts';
export { PropertyProtections, type PropertyRule, parseProtections } from './protection.ts';
export { ImageService, type NewImage } from './service.ts';
export { imageSources, laterDigest, sourceOrders } from './sources.ts';
export type { ImageMemberRow, ImageRow, ImageTaskRow } from './tables.ts';
export { ImageTransfer } from './transfer.ts';
export {
  containerFormats,
  type DiskFormat,
  diskFormats,
  type ImportSource,
  importMethods,
  memberStatuses,
  visibilities,
} from './values.ts';
export { webRules } from './web-rules.ts';
export { allowedUrl, type WebRulesNow, WebSource } from './web-source.ts';
