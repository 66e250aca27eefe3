export type { ByteRequest } from './connection.ts';
export { openBytes } from './file.ts';
export { getBytes } from './get.ts';
export { freeBuffer, pieces } from './memory.ts';
export { pump } from './pump.ts';
export { type Bytes, type Part, type Parts, sendParts } from './sending.ts';
