export { lockServerGroup } from './membership.ts';
export { type ServerGroupRow, ServerGroupService, type ServerGroupWish } from './service.ts';
export type { ServerGroupPolicy } from './tables.ts';
