export { type Hypervisor, listHypervisors } from './list.ts';
export { type HypervisorHosts, HypervisorService } from './service.ts';
