/**
 * One error for everything that a caller may be told. Dialects map the code to their own form, each in one table that
 * a test proves total. What is not a CloudError is a defect: callers see `internal` and no detail of it.
 */
export const errorCodes = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'quota_exceeded',
  'no_capacity',
  'too_large',
  'expired',
  'unavailable',
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export class CloudError extends Error {
  override readonly name = 'CloudError';
  readonly code: ErrorCode;
  /** Facts for machines: which field, which limit, which resource. Safe for the caller. */
  readonly details: Readonly<Record<string, unknown>>;

  /** @param message names the operation that failed and its subject; safe for the caller. The cause speaks for itself. */
  constructor(code: ErrorCode, message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** True for a CloudError of any of the codes (of all codes when none is named). */
export function isCloudError(error: unknown, ...codes: ErrorCode[]): error is CloudError {
  return error instanceof CloudError && (codes.length === 0 || codes.includes(error.code));
}
