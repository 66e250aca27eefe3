export { type ResourceClass, resourceClasses } from './inventory.ts';
export { type InventoryWord, type Provider, ResourceProviderService } from './service.ts';
