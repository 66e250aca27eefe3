/** OpenFlow 1.3, as much of it as asks a switch what its flows have counted, and has it send frames by a tunnel. Knows no cloud. */
export { type FlowCounter, readFlowCounters } from './flow-counters.ts';
export { sendFrames } from './packet-out.ts';
