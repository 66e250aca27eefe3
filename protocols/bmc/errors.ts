/** Why a service processor is of no use now. `message` is for administrators; it has no secret. */
export type BmcErrorKind =
  /** Nobody answers there, or not in time. */
  | 'unreachable'
  /** It has another certificate than the one that is believed. */
  | 'untrusted'
  /** It does not take the user and the password, or the user may not do that. */
  | 'denied'
  /** It answers what its protocol does not. */
  | 'malformed'
  /** It answers, and does not do it. */
  | 'refused'
  /** There are several systems, or not the one that was named. */
  | 'ambiguous'
  /** The program that speaks with it is not on this machine. */
  | 'not_installed';

export class BmcError extends Error {
  readonly kind: BmcErrorKind;

  constructor(kind: BmcErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
