/** A place in the change log. As text it is the resume token that clients keep. */
import { CloudError } from '../../../contract/errors.ts';
import type { ChangeReasons } from '../reasons.ts';

/** All before and at it has been seen. */
export interface Position {
  /** Of the database (short): in another one the numbers mean nothing. */
  incarnation: string;
  transactionId: bigint;
  sequence: number;
  /** No row behind the place is older; for the reader alone, so that it looks into few parts of the log. Absent: not known. */
  since?: Date;
}

/** Of an incarnation's id, as places name it. */
export const shortOf = (id: string): string => id.replaceAll('-', '').slice(0, 12);

export const formatPosition = ({ incarnation, transactionId, sequence }: Position): string =>
  `${incarnation}.${transactionId}.${sequence}`;

/** @throws CloudError `invalid` */
export function parsePosition(text: string): Position {
  const match = /^(?:([0-9a-f]{1,12})\.)?(\d{1,20})\.(\d{1,15})$/.exec(text);
  if (!match) throw new CloudError('invalid', 'resume_token_malformed', {});
  // Without one it is of a time before there were any.
  return { incarnation: match[1] ?? '', transactionId: BigInt(match[2]!), sequence: Number(match[3]) };
}

/** What was to be read is not there any more, or never was: whoever reads must list anew, and carry on at `resume`. */
export const expired = (why: ChangeReasons['resume_token_expired']['why'], end: Position): CloudError =>
  new CloudError('expired', 'resume_token_expired', { why, resume: formatPosition(end) });

/** True where the first place comes before the second one. */
export const isBefore = (a: Position, b: Position): boolean =>
  a.transactionId < b.transactionId || (a.transactionId === b.transactionId && a.sequence < b.sequence);
