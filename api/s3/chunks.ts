/**
 * The body in `aws-chunked` form: each piece of data behind a line with its length (hexadecimal) and its signature, where they are signed;
 * behind the last, which is empty, headers. Bytes pass before the signature of their chunk is known; whoever keeps them keeps nothing
 * where this ends with an error. Pure.
 */
import { createHash, type Hash } from 'node:crypto';
import type { ChunkSignatures } from '../../control/identity/index.ts';
import { S3Refusal } from './refusal.ts';

const lineBytes = 16 * 1024;
const trailerLines = 20;

const broken = () =>
  new S3Refusal('IncompleteBody', 'The request body is not in the form aws-chunked, or ended too early');
const wrong = () =>
  new S3Refusal(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  );

type State = 'head' | 'data' | 'after' | 'trailer' | 'end';

export class ChunkDecoder {
  /** What came behind the last chunk, by names in lower case. */
  readonly trailers = new Map<string, string>();
  readonly #signed: ChunkSignatures | undefined;
  readonly #hasTrailer: boolean;
  #state: State = 'head';
  #line: Buffer = Buffer.alloc(0);
  #left = 0;
  #size = 0;
  #signature = '';
  #hash: Hash | undefined;
  #lines: string[] = [];

  constructor(options: { signed?: ChunkSignatures | undefined; trailer: boolean }) {
    this.#signed = options.signed;
    this.#hasTrailer = options.trailer;
  }

  /** @param emit gets the data that is in them @throws S3Refusal */
  push(bytes: Buffer, emit: (data: Buffer) => void): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#state === 'data') {
        const data = rest.subarray(0, this.#left);
        this.#left -= data.length;
        rest = rest.subarray(data.length);
        this.#hash?.update(data);
        emit(data);
        if (this.#left === 0) this.#state = 'after';
        continue;
      }
      const end = rest.indexOf(10);
      const part = end < 0 ? rest : rest.subarray(0, end + 1);
      if (this.#line.length + part.length > lineBytes) throw broken();
      this.#line = this.#line.length === 0 ? part : Buffer.concat([this.#line, part]);
      rest = rest.subarray(part.length);
      if (end < 0) return;
      const line = this.#line.toString('utf8').replace(/\r?\n$/, '');
      this.#line = Buffer.alloc(0);
      this.#take(line);
    }
  }

  /** Behind the last byte. @throws S3Refusal */
  finish(): void {
    // Some clients leave the last empty line out.
    if (this.#state === 'trailer' && this.#line.length === 0) this.#take('');
    if (this.#state !== 'end') throw broken();
  }

  #take(line: string): void {
    switch (this.#state) {
      case 'head':
        this.#open(line);
        return;
      case 'after':
        if (line !== '') throw broken();
        this.#close();
        this.#state = 'head';
        return;
      case 'trailer':
        if (line === '') this.#finishTrailer();
        else if (this.#lines.push(line) > trailerLines) throw broken();
        return;
      default:
        if (line !== '') throw broken();
    }
  }

  #open(line: string): void {
    const [, size, signature = ''] = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?\s*$/.exec(line) ?? [];
    if (size === undefined) throw broken();
    this.#size = Number.parseInt(size, 16);
    this.#left = this.#size;
    this.#signature = signature;
    this.#hash = this.#signed && createHash('sha256');
    if (this.#size > 0) {
      this.#state = 'data';
      return;
    }
    this.#close();
    this.#state = 'trailer';
  }

  #close(): void {
    if (this.#signed && !this.#signed.isNext(this.#signature, this.#hash!.digest('hex'))) throw wrong();
  }

  #finishTrailer(): void {
    this.#state = 'end';
    let signature = '';
    const signedLines: string[] = [];
    for (const line of this.#lines) {
      const at = line.indexOf(':');
      if (at <= 0) throw broken();
      const [name, value] = [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()];
      if (name === 'x-amz-trailer-signature') signature = value;
      else {
        this.trailers.set(name, value);
        signedLines.push(`${name}:${value}\n`);
      }
    }
    if (!this.#signed || !this.#hasTrailer) return;
    const hash = createHash('sha256').update(signedLines.join('')).digest('hex');
    if (!this.#signed.isTrailer(signature, hash)) throw wrong();
  }
}
