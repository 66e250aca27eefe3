/** What crosses the wire between control and a host; the theory of it is in messages.ts. */
export { type HostFacts, hostFacts } from './facts.ts';
export { type DesiredImage, desiredImage } from './image.ts';
export { hostLimits, imageLimits, messageLimits, portLimits, serverLimits } from './limits.ts';
export {
  type ControlMessage,
  controlMessages,
  type HostMessage,
  hostMessages,
  hostProtocolVersion,
  hostStreamPath,
} from './messages.ts';
export { type DesiredNetwork, desiredNetwork } from './network.ts';
export { type DesiredFixedIp, type DesiredPort, desiredFixedIp, desiredPort } from './port.ts';
export { type DesiredServer, desiredServer, type ObservedServer, observedServer } from './server.ts';
export { type HostError, hostPaths, type ImageUploadResult } from './service.ts';
