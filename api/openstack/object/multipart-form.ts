/** Parts of a body of type `multipart/form-data` (RFC 7578), one after the other as the bytes come. */
import { Refusal } from '../../boundary/refusal.ts';

export interface FormPart {
  name: string;
  /** Undefined: a field. */
  filename?: string;
  headers: Readonly<Record<string, string>>;
  /** Must be read to its end before the next part is asked for. */
  bytes(): AsyncGenerator<Buffer>;
}

const maxHeadBytes = 16 * 1024;
const malformed = (why: string) => new Refusal('invalid', `FormPost: Invalid Form: ${why}`);

/** Undefined: the type is none of these. */
export function boundaryOf(type: string | undefined): string | undefined {
  const [, quoted, plain] =
    /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(type ?? '') ?? [];
  return quoted ?? plain;
}

/** @throws Refusal for a body that is none */
export async function* partsOf(source: AsyncIterable<Buffer>, boundary: string): AsyncGenerator<FormPart> {
  const reader = new PartReader(source, Buffer.from(`\r\n--${boundary}`, 'latin1'));
  await reader.begin();
  while (await reader.hasPart()) {
    const headers = headersOf((await reader.head()).toString('utf8'));
    const disposition = headers['content-disposition'] ?? '';
    const name = parameterOf(disposition, 'name');
    if (name === undefined) throw malformed('a part has no name');
    const filename = parameterOf(disposition, 'filename');
    yield { name, headers, ...(filename !== undefined && { filename }), bytes: () => reader.bytes() };
    for await (const _ of reader.bytes());
  }
}

function headersOf(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
}

/** Browsers write a quote in a name as `%22`, and nothing else of it escaped. */
function parameterOf(disposition: string, name: string): string | undefined {
  const [, quoted, plain] = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^;\\s]*))`, 'i').exec(disposition) ?? [];
  return (quoted ?? plain)?.replace(/%(22|0d|0a)/gi, (escaped) => decodeURIComponent(escaped));
}

class PartReader {
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #delimiter: Buffer;
  #rest: Buffer;
  #ended = false;
  #inPart = false;

  constructor(source: AsyncIterable<Buffer>, delimiter: Buffer) {
    this.#pieces = source[Symbol.asyncIterator]();
    this.#delimiter = delimiter;
    // So that the first delimiter is like all others.
    this.#rest = Buffer.from('\r\n');
  }

  /** What stands before the first delimiter is nothing. */
  async begin(): Promise<void> {
    this.#inPart = true;
    for await (const _ of this.bytes());
  }

  async hasPart(): Promise<boolean> {
    await this.#atLeast(2);
    const sign = this.#rest.toString('latin1', 0, 2);
    this.#rest = this.#rest.subarray(2);
    if (sign === '--') {
      while (await this.#more()) this.#rest = Buffer.alloc(0);
      return false;
    }
    if (sign !== '\r\n') throw malformed('a delimiter goes on');
    this.#inPart = true;
    return true;
  }

  async head(): Promise<Buffer> {
    while (true) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end >= 0) {
        const head = this.#rest.subarray(0, end);
        // The line's end stays: an empty body's delimiter begins with it.
        this.#rest = this.#rest.subarray(end + 4);
        return head;
      }
      if (this.#rest.length > maxHeadBytes) throw malformed('the head of a part is too long');
      if (!(await this.#more())) throw malformed('it ends in the middle');
    }
  }

  /** Up to the next delimiter, which is taken along. */
  async *bytes(): AsyncGenerator<Buffer> {
    while (this.#inPart) {
      const at = this.#rest.indexOf(this.#delimiter);
      if (at >= 0) {
        const last = this.#rest.subarray(0, at);
        this.#rest = this.#rest.subarray(at + this.#delimiter.length);
        this.#inPart = false;
        if (last.length > 0) yield last;
        return;
      }
      const safe = this.#rest.length - this.#delimiter.length;
      if (safe > 0) {
        const piece = this.#rest.subarray(0, safe);
        this.#rest = this.#rest.subarray(safe);
        yield piece;
      }
      if (!(await this.#more())) throw malformed('it ends in the middle');
    }
  }

  async #atLeast(count: number): Promise<void> {
    while (this.#rest.length < count) if (!(await this.#more())) throw malformed('it ends in the middle');
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const next = await this.#pieces.next();
    this.#ended = next.done === true;
    if (!next.done) this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    return !this.#ended;
  }
}
