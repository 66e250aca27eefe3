export type { ByteRequest } from './connection.ts';
export { openBytes } from './file.ts';
export { getBytes } from './get.ts';
export { freeBuffer } from './memory.ts';
export { pump } from './pump.ts';
export type { Bytes } from './sending.ts';
