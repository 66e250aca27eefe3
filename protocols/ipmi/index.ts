export { Ipmi, type IpmiOptions } from './client.ts';
export { longestPassword, longestUser } from './tool.ts';
