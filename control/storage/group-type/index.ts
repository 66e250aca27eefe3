export { type GroupTypeRow, GroupTypeService, type GroupTypeWish } from './service.ts';
