/** Errors of the OVSDB client. `kind` tells what a caller may do about it. */
export type OvsdbErrorKind =
  /** No session, or it broke. After `transact` the outcome is unknown: look at the copy again. */
  | 'connection'
  /** No answer before the deadline; the outcome is unknown. */
  | 'timeout'
  /** The peer sent what RFC 7047 does not allow, or refused a whole call. */
  | 'protocol'
  /** The server refused the transaction; nothing of it happened. */
  | 'transaction'
  /** The local copy is not complete, so it may not be read. */
  | 'incomplete';

export class OvsdbError extends Error {
  override readonly name: string = 'OvsdbError';
  readonly kind: OvsdbErrorKind;
  constructor(kind: OvsdbErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** A refused transaction: which operation, and the server's own words. */
export class TransactionError extends OvsdbError {
  override readonly name = 'TransactionError';
  /** Index of the refused operation; equal to the count of operations when the commit itself was refused. */
  readonly operation: number;
  /** The server's error tag, e.g. 'constraint violation', 'referential integrity violation', 'timed out'. */
  readonly tag: string;
  readonly details: string;
  constructor(operation: number, where: string, tag: string, details: string) {
    super('transaction', `OVSDB transaction refused at ${where}: ${tag}${details ? `: ${details}` : ''}`);
    this.operation = operation;
    this.tag = tag;
    this.details = details;
  }
}
