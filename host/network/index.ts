export { HostNetwork } from './driver.ts';
export type { NetworkLogger } from './log.ts';
export { metadataPaths, networkHeader, proxyEngine } from './metadata-proxy.ts';
export { type Names, names } from './names.ts';
export type { ExternalNetwork, HostNetworkOptions } from './options.ts';
export type { Datapath } from './plan.ts';
export type { ObservedPort, PluggedPort } from './ports.ts';
export { type PurgeOptions, purgeHostNetwork } from './purge.ts';
export { resolverEngines, stopResolvers } from './resolver.ts';
