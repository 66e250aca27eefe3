/**
 * How commands talk with a running supervisor: one JSON object per line over a unix socket that only root can reach.
 * A connection carries one request; the answer may be several lines, the last of which has `done`.
 */
import { chmodSync, rmSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import type { EngineStatus } from './runner.ts';

export type Request =
  | { command: 'status' }
  /** Answers a line at each change until every engine is ready. */
  | { command: 'watch' }
  | { command: 'restart'; name: string }
  | { command: 'stop'; keepGuests: boolean };

export interface Answer {
  done: boolean;
  pid: number;
  engines: EngineStatus[];
  /** Names of settings that bothy.conf says otherwise by now than when this supervisor was started. */
  changedSettings?: string[];
  /** Set where the request could not be served. */
  error?: string;
}

export type Handler = (request: Request, answer: (line: Answer) => void, closed: AbortSignal) => void;

export async function listen(path: string, handle: Handler): Promise<net.Server> {
  rmSync(path, { force: true });
  const server = net.createServer((connection) => {
    const closed = new AbortController();
    connection.on('close', () => closed.abort());
    connection.on('error', () => connection.destroy());
    createInterface({ input: connection }).once('line', (line) => {
      const answer = (value: Answer) => {
        if (connection.destroyed) return;
        connection.write(`${JSON.stringify(value)}\n`);
        if (value.done) connection.end();
      };
      try {
        handle(JSON.parse(line) as Request, answer, closed.signal);
      } catch (error) {
        answer({ done: true, pid: process.pid, engines: [], error: (error as Error).message });
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  server.removeAllListeners('error').on('error', () => {}); // a command that can not connect says so itself
  chmodSync(path, 0o600);
  return server;
}

/**
 * Asks the supervisor; undefined where none runs. `onLine` sees every line, the last one included. An abort hangs up; the
 * answer is then the last line so far.
 */
export async function ask(
  path: string,
  request: Request,
  onLine: (answer: Answer) => void = () => {},
  signal?: AbortSignal,
): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    let last: Answer | undefined;
    const connection = net.connect(path);
    signal?.addEventListener('abort', () => connection.destroy(), { once: true });
    connection.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else if (last === undefined) reject(error);
    });
    connection.once('connect', () => connection.write(`${JSON.stringify(request)}\n`));
    createInterface({ input: connection })
      .on('line', (line) => {
        last = JSON.parse(line) as Answer;
        onLine(last);
      })
      .on('error', () => {});
    connection.once('close', () => {
      if (last !== undefined) resolve(last);
      else resolve(undefined);
    });
  });
}
