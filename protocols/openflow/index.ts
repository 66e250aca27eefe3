/** OpenFlow 1.3, as much of it as asks a switch what its flows have counted. Knows no cloud. */
export { type FlowCounter, readFlowCounters } from './flow-counters.ts';
