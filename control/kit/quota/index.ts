export { QuotaService, type QuotaView } from './service.ts';
