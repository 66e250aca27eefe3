export type { HostEndpoint } from './answers.ts';
export { type ByteRange, type GuestPasswordWish, HostClient } from './client.ts';
export type { HostConnection } from './connection.ts';
export type {
  HandedOutKey,
  HostedLayers,
  HostedNetworks,
  HostedServers,
  LayerFilter,
  LayerStamp,
  OwnedLayer,
  ReportOptions,
  ServerFilter,
  ServerStamp,
} from './hosted.ts';
export { closeCodes } from './messages.ts';
export {
  type DiskOfHost,
  isBlobLost,
  type SmallBlob,
} from './object-client.ts';
export {
  countQuarantine,
  describeQuarantine,
  lockQuarantinedImage,
  lockQuarantinedLayers,
  lockQuarantinedServer,
  type QuarantinedImageRow,
  type QuarantinedLayerRow,
  type QuarantinedServerRow,
  quarantinedImages,
  quarantinedLayers,
  quarantinedServers,
} from './quarantine.ts';
export { registerHost } from './register.ts';
export { endpointColumns, endpointOf, endpointUrl, listEndpoints, requireCurrent, StreamReplaced } from './store.ts';
export { HostStreams, type HostStreamsOptions } from './streams.ts';
