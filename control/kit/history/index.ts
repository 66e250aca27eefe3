export { HistoryKeeper, type HistoryKeeperOptions, type Retention } from './keeper.ts';
