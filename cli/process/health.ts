/**
 * A process's account of itself for `bothy doctor`: GET /v1/health on a unix socket in a directory that only the process
 * and root may enter. The host process serves the same path on its own service.
 */
import { chmodSync, rmSync } from 'node:fs';
import { http } from '../../contract/node-http.ts';

/** One part of a process: a projection, a queue, a connection. */
export interface HealthPart {
  name: string;
  ok: boolean;
  /** For people, one line. */
  detail: string;
  /** What to do where it is not ok. */
  cure?: string;
  /** It stays as it is until a person decides: no start waits for it. */
  forPeople?: true;
}

/** Another clock of the cloud, beside that of this process's machine. */
export interface ClockReading {
  of: string;
  /** Above 0: ahead of ours. */
  offsetMs: number;
}

export interface Health {
  parts: HealthPart[];
  clocks: ClockReading[];
}

/** Serves `look`'s answer; answers how to stop. */
export async function serveHealth(socket: string, look: () => Promise<Health>): Promise<() => Promise<void>> {
  rmSync(socket, { force: true });
  const server = http.createServer((request, response) => {
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (request.url !== '/v1/health')
      return send(404, { error: { code: 'not_found', message: 'there is only /v1/health' } });
    look().then(
      (health) => send(200, health),
      (error: Error) => send(500, { error: { code: 'internal', message: error.message } }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  server.removeAllListeners('error').on('error', () => {}); // one connection less, not the end
  chmodSync(socket, 0o600);
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

/** The JSON that a service on a unix socket answers to GET. */
export function getFromSocket(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath, path, timeout: 5_000 }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('error', reject);
      response.once('end', () => {
        try {
          const body = JSON.parse(Buffer.concat(parts).toString('utf8'));
          if (response.statusCode === 200) resolve(body);
          else reject(new Error(body?.error?.message ?? `answered ${response.statusCode}`));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    request.once('timeout', () => request.destroy(new Error('no answer in 5 s')));
    request.once('error', reject);
  });
}
