export { type Hypervisor, listHypervisors } from './list.ts';
export { HypervisorService, type Zone } from './service.ts';
