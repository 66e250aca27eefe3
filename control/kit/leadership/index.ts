export { fence, Leadership, type LeaseTiming } from './leadership.ts';
