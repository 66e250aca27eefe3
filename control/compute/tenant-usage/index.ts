export { type ServerUsage, TenantUsageService, type UsageQuery } from './service.ts';
