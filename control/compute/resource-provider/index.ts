export { type Inventory, type ResourceClass, resourceClasses } from './inventory.ts';
export {
  type Allocation,
  type Consumer,
  type InventoryWord,
  type Provider,
  type ProviderFilter,
  ResourceProviderService,
} from './service.ts';
