export { barrierColumns, configReached, raiseConfig } from './barrier.ts';
export { type ClientOptions, type ClientState, type ColumnChange, OvsdbClient } from './client.ts';
export { OvsdbError, type OvsdbErrorKind, TransactionError } from './errors.ts';
export { MessageSplitter } from './framing.ts';
export { type Monitored, Replica, type ReplicaListener, type RowChange, RowIndex } from './replica.ts';
export {
  type AtomicType,
  type ColumnType,
  columnOf,
  type DatabaseSchema,
  parseSchema,
  type RawSchema,
  type RawTable,
  type TableSchema,
  tableOf,
} from './schema.ts';
export { Session, type SessionOptions } from './session.ts';
export { parseTarget, type TlsFiles } from './target.ts';
export {
  type Condition,
  checkResults,
  type Mutation,
  type Operation,
  type OperationResult,
  type Selector,
  Transaction,
} from './transaction.ts';
export {
  type Atom,
  applyDifference,
  type Columns,
  canonical,
  defaultValue,
  difference,
  fromWire,
  integer,
  isUuid,
  list,
  map,
  type Row,
  rowToWire,
  sameValue,
  text,
  toWire,
  type Value,
} from './value.ts';
