export { type PowerState, Redfish, type RedfishOptions, type RedfishSystem, type ResetType } from './client.ts';
export { RedfishError, type RedfishErrorKind } from './errors.ts';
export { presentedFingerprint, type RedfishTrust } from './transport.ts';
