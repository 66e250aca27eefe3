export { RefugeKeeper, type RefugeKeeperOptions } from './keeper.ts';
export { type Reserve, ReserveService } from './service.ts';
