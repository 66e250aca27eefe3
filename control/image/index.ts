export { ImageController, type ImageTaskOptions } from './controller.ts';
export {
  containerFormats,
  type DiskFormat,
  diskFormats,
  fileFormat,
  type ImageAttributes,
  type ImageChange,
  type ImageStatus,
  limits,
  type MemberStatus,
  memberStatuses,
  type Visibility,
  visibilities,
} from './image.ts';
export type { Comparison, ImageFilter, ImageListOptions, SortKey } from './list.ts';
export { ImageMemberService } from './members.ts';
export { ImageService, type NewImage } from './service.ts';
export type { ImageMemberRow, ImageRow } from './tables.ts';
export { ImageTransfer } from './transfer.ts';
