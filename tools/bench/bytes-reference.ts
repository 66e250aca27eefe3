/** What TLS alone costs on this machine: `openssl s_server` that serves a file, and one that drops what comes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { freePort } from '../../cli/cloud/free-port.ts';
import type { CloudProcesses } from '../../test/support/cloud-processes.ts';
import { until } from '../../test/support/until.ts';
import { receive, sizeBytes, writePieces } from './bytes.ts';

export interface PlainServer extends AsyncDisposable {
  pids(): readonly string[];
  down(agent: https.Agent): Promise<void>;
  up(): Promise<void>;
}

export async function plainServer(options: {
  scratch: string;
  cloud: CloudProcesses;
  ciphers: string;
}): Promise<PlainServer> {
  const { scratch, cloud, ciphers } = options;
  writeFileSync(join(scratch, 'bytes.bin'), Buffer.alloc(sizeBytes, 7));
  const certificates = join(cloud.directory, 'certificates');
  const common = ['s_server', '-cert', join(certificates, 'api.pem'), '-key', join(certificates, 'api.key'), '-quiet'];
  const ports = [await freePort(), await freePort()] as const;
  const start = (port: number, ...args: string[]) =>
    spawn('openssl', [...common, '-accept', `127.0.0.1:${port}`, ...args], {
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: scratch,
    });
  const servers = [start(ports[0], '-WWW'), start(ports[1])];
  for (const port of ports) await until(`s_server on port ${port}`, () => answers(port), { timeoutMs: 10_000 });
  const base = { host: '127.0.0.1', ciphers, ca: https.globalAgent.options.ca };
  return {
    pids: () => servers.map((server) => String(server.pid)),
    down: (agent) => receive(`https://127.0.0.1:${ports[0]}/bytes.bin`, { agent }),
    up: () =>
      new Promise((resolve, reject) => {
        const socket = tls.connect({ ...base, port: ports[1], rejectUnauthorized: false }, () => writePieces(socket));
        socket.resume().once('close', resolve).once('error', reject);
      }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map(end));
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function end(server: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    server.once('exit', () => resolve());
    server.kill();
  });
}
