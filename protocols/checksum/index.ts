export {
  type Checksum,
  type ChecksumAlgorithm,
  checksumAlgorithms,
  checksumBytes,
  checksumOf,
  isCrc,
  startChecksum,
} from './checksum.ts';
export { type CrcAlgorithm, combineCrc } from './crc.ts';
