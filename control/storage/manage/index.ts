export { type ManageableFile, ManageService, type ManageWish } from './service.ts';
