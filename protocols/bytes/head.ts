/** The head of an HTTP answer (RFC 9112), as far as a server that we know sends one. Pure. */

export interface Head {
  status: number;
  /** Names in lower case; of a name that comes twice the first. */
  headers: ReadonlyMap<string, string>;
}

const end = Buffer.from('\r\n\r\n');

/** Where the body begins; undefined while the head is not whole. */
export function headEnd(bytes: Buffer): number | undefined {
  const at = bytes.indexOf(end);
  return at < 0 ? undefined : at + end.length;
}

/** @throws where it is no head of HTTP/1 */
export function parseHead(bytes: Buffer): Head {
  const [first = '', ...lines] = bytes.toString('latin1').trimEnd().split('\r\n');
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(first)?.[1];
  if (status === undefined) throw new Error('the answer is not HTTP/1');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) throw new Error('a line of the answer’s head is no header');
    if (!headers.has(name.toLowerCase())) headers.set(name.toLowerCase(), value!);
  }
  return { status: Number(status), headers };
}

/** The number of bytes of the body, where the head says so. @throws where it says something else than a number */
export function contentLength({ headers }: Head): number | undefined {
  const text = headers.get('content-length');
  if (text === undefined) return undefined;
  const bytes = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw new Error('the answer’s length is no number');
  return bytes;
}
