export { type ManageableFile, ManageService } from './service.ts';
