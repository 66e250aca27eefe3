export { barrierColumns, configReached, raiseConfig } from './barrier.ts';
export { type ColumnChange, OvsdbClient } from './client.ts';
export { OvsdbError, TransactionError } from './errors.ts';
export { type Monitored, Replica, type RowChange, RowIndex } from './replica.ts';
export { columnOf, type DatabaseSchema, tableOf } from './schema.ts';
export { Session } from './session.ts';
export type { TlsFiles } from './target.ts';
export { type Condition, checkResults, type Operation, type OperationResult, Transaction } from './transaction.ts';
export { type Columns, canonical, isUuid, list, map, type Row, sameValue, text } from './value.ts';
