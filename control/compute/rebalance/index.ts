export type { Imbalance } from './propose.ts';
export { type RebalancePolicy, Rebalancer } from './rebalancer.ts';
export { type Rebalance, RebalanceService } from './service.ts';
