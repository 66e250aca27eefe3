export { type TransferRow, TransferService, type TransferWish } from './service.ts';
