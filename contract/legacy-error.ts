/** The form before reasons: a sentence. It goes as soon as no area of control/ has any (this file is then removed). */
import { CloudError, type ErrorCode } from './errors.ts';

declare module './errors.ts' {
  interface Reasons {
    request_refused: Readonly<Record<string, unknown>>;
  }
}

export class LegacyError extends CloudError<'request_refused'> {
  readonly sentence: string;

  constructor(code: ErrorCode, sentence: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(code, 'request_refused', options.details ?? {}, { cause: options.cause });
    this.sentence = sentence;
    this.message = sentence;
  }

  override as(code: ErrorCode): LegacyError {
    return new LegacyError(code, this.sentence, { details: this.fields, cause: this });
  }
}
