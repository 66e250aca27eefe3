export { type GroupTypeRow, GroupTypeService } from './service.ts';
