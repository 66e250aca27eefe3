export { RefugeKeeper } from './keeper.ts';
export { ReserveService } from './service.ts';
