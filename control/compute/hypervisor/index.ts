export { type Hypervisor, listHypervisors } from './list.ts';
export { type HypervisorHosts, HypervisorService, type Zone } from './service.ts';
