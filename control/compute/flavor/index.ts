export { type FlavorFilter, type FlavorRow, FlavorService, type FlavorWish, flavorSortKeys } from './service.ts';
