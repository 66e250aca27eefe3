export { type ConsoleHosts, ConsoleService } from './service.ts';
