export type { BalancedResource, Imbalance, ProposedMove } from './propose.ts';
export { type RebalancePolicy, Rebalancer, type RebalancerOptions } from './rebalancer.ts';
export { type Rebalance, RebalanceService } from './service.ts';
