/**
 * One error for everything that a caller may be told: what kind of refusal it is (`code`, closed), what it means (`reason`,
 * finer) and the facts (`fields`). It has no sentence: each dialect says it in the words and with the status that its clients
 * know, from a table that the compiler holds total. What is not a CloudError is a defect: callers see `internal` and no detail.
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

/**
 * Every reason with its fields. Open: each area adds those of its own in its `reasons.ts` (`declare module`), so that this file
 * knows none. One reason for each meaning, in snake case. Fields are facts for machines, safe for the caller.
 */
// biome-ignore lint/suspicious/noEmptyInterface: see above
export interface Reasons {}

export type Reason = keyof Reasons;

/** The fields of a reason that says everything by its name. */
export type NoFields = Record<never, never>;

export class CloudError<R extends Reason = Reason> extends Error {
  override readonly name: string = 'CloudError';
  readonly code: ErrorCode;
  readonly reason: R;
  readonly fields: Readonly<Reasons[R]>;

  constructor(code: ErrorCode, reason: R, fields: Reasons[R], options: { cause?: unknown } = {}) {
    super(plainly(reason, fields), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = reason;
    this.fields = fields;
  }

  /** The same meaning as another kind of refusal: a thing that a request's body names wrongly is no missing page. */
  as(code: ErrorCode): CloudError<R> {
    return new CloudError(code, this.reason, this.fields as Reasons[R], { cause: this });
  }
}

/** For logs, the command line and whoever has no words of its own: `port in use (id: 42)`. */
function plainly(reason: string, fields: object): string {
  const facts = Object.entries(fields).map(
    ([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return reason.replaceAll('_', ' ') + (facts.length === 0 ? '' : ` (${facts.join(', ')})`);
}

/** True for a CloudError of any of the codes (of all codes when none is named). */
export function isCloudError(error: unknown, ...codes: ErrorCode[]): error is CloudError {
  return error instanceof CloudError && (codes.length === 0 || codes.includes(error.code));
}

/** True for a CloudError with this reason. */
export function hasReason<R extends Reason>(error: unknown, reason: R): error is CloudError<R> {
  return error instanceof CloudError && error.reason === reason;
}

/** A sentence for each reason of `Rs`: of a dialect's table the compiler asks one for every reason that it can meet. */
export type SentenceTable<Rs> = { readonly [R in keyof Rs]: string | ((fields: Readonly<Rs[R]>) => string) };

/** What the table says of the error; undefined where it has no entry. */
export function sentenceOf(error: CloudError, sentences: Partial<SentenceTable<Reasons>>): string | undefined {
  const say = (sentences as Readonly<Record<string, string | ((fields: unknown) => string)>>)[error.reason];
  return typeof say === 'function' ? say(error.fields) : say;
}
