export { HostNetwork } from './driver.ts';
export { metadataPaths, proxyEngine } from './metadata-proxy.ts';
export { names } from './names.ts';
export { nat64Engines } from './nat64.ts';
export type { HostNetworkOptions } from './options.ts';
export { purgeHostNetwork } from './purge.ts';
export { resolverEngines, stopResolvers } from './resolver.ts';
export { answerOf, datagram, type FrameSize, genevePort, sizes } from './tunnels/frames.ts';
