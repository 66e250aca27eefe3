/** Whether one end reaches another: what the rest of the cloud asks. */
export type { Answer, End, Hop, Opening, Stop, StopReason } from './question.ts';
export { type Asked, ReachabilityService, type Told } from './service.ts';
