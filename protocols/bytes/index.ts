export type { ByteRequest } from './connection.ts';
export { type ByteAnswer, getBytes } from './get.ts';
export { contentLength } from './head.ts';
export { freeBuffer } from './memory.ts';
export { pump } from './pump.ts';
