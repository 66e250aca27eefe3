export { isOfOneMoment, requireOneMoment } from './moment.ts';
export { GroupService, type ListedGroup } from './service.ts';
export { lockGroup } from './store.ts';
