export { type FlavorFilter, type FlavorRow, FlavorService, flavorSortKeys } from './service.ts';
