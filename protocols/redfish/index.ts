export { Redfish, type RedfishOptions } from './client.ts';
export { presentedFingerprint, type RedfishTrust } from './transport.ts';
