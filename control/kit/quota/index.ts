export { QuotaService } from './service.ts';
