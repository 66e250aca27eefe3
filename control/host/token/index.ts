export { greeting } from './call-back.ts';
export { type JoinOptions, JoinService, type JoinWish } from './join.ts';
export { type HostToken, HostTokenService, parseToken } from './token.ts';
