export { type QosSpecsRow, QosSpecsService } from './service.ts';
