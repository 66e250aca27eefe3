export { fence, Leadership, type LeadershipOptions, type LeaseTiming } from './leadership.ts';
