/** A change of the cloud, as the log tells it. */
import type { Selectable } from 'kysely';
import type { ChangeTable } from '../database/schema.ts';
import type { Position } from './position.ts';

/** In its body is the row after the change; before it, for 'deleted'. Column names as in SQL. */
export interface Change extends Omit<Selectable<ChangeTable>, 'sequence' | 'transaction_id'> {
  position: Position;
}
