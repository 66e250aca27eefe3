/** What the dialect itself refuses, by S3's code. */
import type { ErrorCode } from '../../contract/errors.ts';
import { Refusal } from '../boundary/refusal.ts';
import { type S3Code, s3Codes } from './codes.ts';

const meanings: Readonly<Record<number, ErrorCode>> = {
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  503: 'unavailable',
};

export class S3Refusal extends Refusal {
  readonly s3Code: S3Code;

  /** @param fields further elements of the answer, by their names */
  constructor(code: S3Code, sentence: string, fields: Record<string, string> = {}) {
    super(meanings[s3Codes[code]] ?? 'invalid', sentence, { details: fields });
    this.s3Code = code;
  }
}

/** Never taken and overlooked: the client hears which of S3's words has no meaning here. */
export const notImplemented = (what: string): S3Refusal =>
  new S3Refusal('NotImplemented', `This cloud does not have ${what}`);

export const invalidArgument = (sentence: string, name: string, value: string): S3Refusal =>
  new S3Refusal('InvalidArgument', sentence, { ArgumentName: name, ArgumentValue: value.slice(0, 255) });
