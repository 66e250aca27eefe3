export type { ByteRequest } from './connection.ts';
export { FileParts, type Fill, openBytes } from './file.ts';
export { getBytes } from './get.ts';
export { freeBuffer } from './memory.ts';
export { pump } from './pump.ts';
export { type Bytes, sendParts } from './sending.ts';
