export { HistoryKeeper } from './keeper.ts';
