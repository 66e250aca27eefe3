export { type AggregateRow, AggregateService } from './service.ts';
