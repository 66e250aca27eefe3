export { type TransferRow, TransferService } from './service.ts';
