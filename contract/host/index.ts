/** What crosses the wire between control and a host; the theory of it is in messages.ts. */
export { type GuestDiagnostics, type GuestPassword, guestDiagnostics, guestPassword } from './diagnostics.ts';
export {
  chapSecretOf,
  type DesiredExport,
  type IscsiPortal,
  initiatorPattern,
  type ObservedExport,
  portalOf,
} from './export.ts';
export { type HostBandwidth, type HostFacts, type HostPool, hostFacts, type PoolLevel } from './facts.ts';
export {
  diskBuses,
  type GuestHardware,
  guestHardware,
  networkModels,
  videoModels,
  watchdogActions,
} from './hardware.ts';
export { type DesiredImage, desiredImage, hostUrl, type ImageFormat, imageFormats } from './image.ts';
export {
  absentLayer,
  type CacheUse,
  capturedFormats,
  type DesiredLayer,
  desiredLayer,
  type LayerEncryption,
  type LayerRecord,
  layerEncryption,
  type ObservedLayer,
  observedLayer,
  poolName,
} from './layer.ts';
export {
  hostLimits,
  imageLimits,
  layerLimits,
  messageLimits,
  objectLimits,
  portLimits,
  serverLimits,
} from './limits.ts';
export { guestMachine, type PinnedMachine } from './machine.ts';
export { type ControlMessage, type HostMessage, hostStreamPath } from './messages.ts';
export type { MeterReading } from './meter.ts';
export type {
  IncomingServer,
  ObservedIncoming,
  ObservedOutgoing,
  OutgoingServer,
} from './migration.ts';
export { nat64, nat64Port, nat64Router } from './nat64.ts';
export { type DesiredNetwork, desiredNetwork, forbiddenDscp, type NetworkNames } from './network.ts';
export {
  type BlobDigestName,
  type BlobFaults,
  type BlobPlace,
  blobDigestNames,
  blobFaults,
  blobFilePattern,
  type CopiedBlobs,
  type CopyBlobs,
  copiedBlobs,
  copyBlobs,
  type GrantBlobs,
  grantBlobs,
  type IntentFiles,
  intentFiles,
  type ObjectDiskLevel,
  type ObjectDisks,
  objectDiskName,
  objectDisks,
  objectFilePath,
  objectIntentsDirectory,
  objectPaths,
  type StoredBlob,
  type StoredPlace,
  storedBlob,
  type WrittenBlobs,
  writtenBlobs,
} from './object.ts';
export { lentByMessage, readableByControl, readableByHost } from './older.ts';
export { type DeclaredPool, declaredPool, declaredPoolKinds, poolTiers } from './pool.ts';
export { type DesiredFixedIp, type DesiredPort, desiredFixedIp, desiredPort } from './port.ts';
export { agree, hostProtocol, type ProtocolRange, speaking } from './protocol.ts';
export {
  type QuarantinedImage,
  type QuarantinedLayer,
  type QuarantinedServer,
  quarantinedImage,
  quarantinedLayer,
  quarantinedServer,
} from './quarantine.ts';
export {
  type Reading,
  readControlMessage,
  readEach,
  readHostMessage,
  readLayer,
  readNetwork,
  readServer,
  type Unreadable,
} from './read.ts';
export {
  absentServer,
  type DesiredLocalDisk,
  type DesiredServer,
  type DesiredVolume,
  desiredServer,
  type ObservedServer,
  observedServer,
} from './server.ts';
export {
  type CapturedImage,
  type CertificateRequest,
  type ConsoleKind,
  certificateRequest,
  consoleKinds,
  consoleProtocol,
  type HostError,
  type HostLoad,
  type HostWatts,
  hostLoad,
  hostPaths,
  hostWatts,
  type ImageDigests,
  type ImageFile,
  type ImageUploadResult,
  imageDigests,
  imageFile,
  type ManageableFiles,
  manageableFiles,
  type SignedCertificate,
  signedCertificate,
} from './service.ts';
export { type TunnelEnd, type TunnelFault, type TunnelReport, tunnelReport } from './tunnel.ts';
