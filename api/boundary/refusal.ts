/**
 * What a dialect refuses by itself, in its own words: a malformed request, mostly. What control refuses has a reason instead,
 * for which the dialect's table has the sentence.
 */
import { CloudError, type ErrorCode } from '../../contract/errors.ts';

declare module '../../contract/errors.ts' {
  interface Reasons {
    /** The fields are the dialect's own. */
    request_refused: Readonly<Record<string, unknown>>;
  }
}

export class Refusal extends CloudError<'request_refused'> {
  readonly sentence: string;

  /** @param sentence names the operation that failed and its subject; safe for the caller. */
  constructor(code: ErrorCode, sentence: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(code, 'request_refused', options.details ?? {}, { cause: options.cause });
    this.sentence = sentence;
    this.message = sentence;
  }

  override as(code: ErrorCode): Refusal {
    return new Refusal(code, this.sentence, { details: this.fields, cause: this });
  }
}
