export { type KeyPairRow, KeyPairService } from './service.ts';
