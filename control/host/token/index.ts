export { callBack, greeting } from './call-back.ts';
export { type Joined, type JoinOptions, JoinService, type JoinWish } from './join.ts';
export { type HostToken, HostTokenService, parseToken, tokenText } from './token.ts';
