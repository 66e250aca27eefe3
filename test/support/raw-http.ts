/** HTTP as bytes over a TLS socket: what no client library would send. */
import { once } from 'node:events';
import tls from 'node:tls';

export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export interface RawExchange {
  /** In the order of the wire; final answers only. */
  answers: RawAnswer[];
  /** Bytes that were no whole answer. */
  rest: string;
  ended: 'by the server' | 'by us';
}

export interface RawOptions {
  port: number;
  ca: string;
  /** Half-close after the last byte. */
  end?: boolean;
  /** Cut the connection after the last byte, without a word. */
  cut?: boolean;
  /** How long to listen for more. */
  patienceMs?: number;
  /** Listen until so many answers have come. */
  answers?: number;
}

/** Sends the pieces, each in a write of its own, and collects what comes back. Never rejects for what the server does. */
export async function exchange(pieces: readonly (string | Buffer)[], options: RawOptions): Promise<RawExchange> {
  const socket = tls.connect({ port: options.port, host: '127.0.0.1', ca: options.ca, servername: 'localhost' });
  let received = Buffer.alloc(0);
  socket.on('error', () => {});
  const closed = new Promise<'by the server'>((resolve) => socket.once('close', () => resolve('by the server')));
  const wanted = options.answers ?? 1;
  const answered = new Promise<'by us'>((resolve) => {
    socket.on('data', (part) => {
      received = Buffer.concat([received, part]);
      if (parseAnswers(received).answers.length >= wanted) resolve('by us');
    });
  });
  try {
    if ((await Promise.race([once(socket, 'secureConnect'), closed])) === 'by the server') return nothing;
  } catch {
    return nothing;
  }
  for (const piece of pieces) {
    if (socket.destroyed) break;
    await new Promise((resolve) =>
      socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece, resolve),
    );
  }
  if (options.end) socket.end();
  if (options.cut) socket.destroy();
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<'by us'>((resolve) => {
    timer = setTimeout(resolve, options.patienceMs ?? 5000, 'by us');
  });
  const ended = await Promise.race([closed, answered, patience]);
  clearTimeout(timer);
  socket.destroy();
  return { ...parseAnswers(received), ended };
}

const nothing: RawExchange = { answers: [], rest: '', ended: 'by the server' };

function parseAnswers(bytes: Buffer): { answers: RawAnswer[]; rest: string } {
  const answers: RawAnswer[] = [];
  let text = bytes.toString('latin1');
  for (;;) {
    const end = text.indexOf('\r\n\r\n');
    const first = /^HTTP\/1\.[01] (\d{3})[^\r]*/.exec(text);
    if (!first || end < 0) return { answers, rest: text };
    const status = Number(first[1]);
    const lines = text.slice(first[0].length + 2, end).split('\r\n');
    const headers = Object.fromEntries(
      lines
        .filter(Boolean)
        .map((line) => [line.split(':', 1)[0]!.toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const body = bodyOf(text.slice(end + 4), headers);
    if (!body) return { answers, rest: text };
    text = text.slice(end + 4 + body.length);
    if (status >= 200 || status === 101) answers.push({ status, headers, body: body.text });
  }
}

/** Undefined while it is not whole. */
function bodyOf(text: string, headers: Record<string, string>): { text: string; length: number } | undefined {
  if (headers['transfer-encoding'] === 'chunked') {
    const end = text.indexOf('0\r\n\r\n');
    return end < 0 ? undefined : { text: text.slice(0, end), length: end + 5 };
  }
  const length = Number(headers['content-length'] ?? 0);
  return text.length < length ? undefined : { text: text.slice(0, length), length };
}
