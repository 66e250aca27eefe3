export {
  type Checksum,
  type ChecksumAlgorithm,
  checksumAlgorithms,
  checksumBytes,
  checksumOf,
  isCrc,
  startChecksum,
} from './checksum.ts';
export { combineCrc } from './crc.ts';
