/** Why a service processor is of no use now. `message` is for administrators; it has no secret. */
export type RedfishErrorKind =
  /** Nobody answers there, or not in time. */
  | 'unreachable'
  /** It has another certificate than the one that is believed. */
  | 'untrusted'
  /** It does not take the user and the password. */
  | 'denied'
  /** It answers what Redfish does not. */
  | 'malformed'
  /** It answers, and does not do it. */
  | 'refused'
  /** There are several systems, or not the one that was named. */
  | 'ambiguous';

export class RedfishError extends Error {
  readonly kind: RedfishErrorKind;

  constructor(kind: RedfishErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
