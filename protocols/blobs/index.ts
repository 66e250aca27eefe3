export { BlobFault } from './fault.ts';
export {
  blobFileBytes,
  blockBytes,
  findFooter,
  firstDamaged,
  footerOf,
  readTable,
  tableBytes,
} from './file-format.ts';
export { idBytes } from './ids.ts';
export { PackReader } from './packs.ts';
export { type BlobRange, openBlob } from './read-file.ts';
export { readRecordHead, recordAlignment, recordBytes, recordHeaderBytes, writeRecord } from './record.ts';
