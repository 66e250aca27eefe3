/** Where an OVSDB server listens, in the notation of the OVS tools: unix:PATH, tcp:HOST:PORT, ssl:HOST:PORT. */
import { connect, isIP, type Socket } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import { OvsdbError } from './errors.ts';

export interface TlsFiles {
  ca: string | Buffer;
  cert: string | Buffer;
  key: string | Buffer;
  /** Name that the server's certificate must carry; by default the target's host. */
  serverName?: string;
  /** Subject CN that it must have instead, whatever the target is called. */
  commonName?: string;
}

export type Target = { scheme: 'unix'; path: string } | { scheme: 'tcp' | 'ssl'; host: string; port: number };

export function parseTarget(text: string): Target {
  if (text.startsWith('unix:') && text.length > 5) return { scheme: 'unix', path: text.slice(5) };
  if (text.startsWith('/')) return { scheme: 'unix', path: text };
  const parts = /^(tcp|ssl):(\[[0-9a-fA-F:.]+\]|[^:]+):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (!parts || port < 1 || port > 65_535) {
    throw new OvsdbError('protocol', `OVSDB target "${text}" is none of unix:PATH, tcp:HOST:PORT, ssl:HOST:PORT`);
  }
  return { scheme: parts[1] as 'tcp' | 'ssl', host: parts[2]!.replace(/^\[|\]$/g, ''), port };
}

/** Opens the socket; rejects with an OvsdbError that names the target. */
export async function openSocket(text: string, options: { tls?: TlsFiles; timeoutMs: number }): Promise<Socket> {
  const target = parseTarget(text);
  if (target.scheme === 'ssl' && !options.tls) {
    throw new OvsdbError('protocol', `OVSDB target "${text}" needs a certificate, a key and a CA`);
  }
  // Loaded only where it is spoken: the supervisor, which asks engines over unix sockets, lives without its 3 MiB. Awaited
  // before the dialling, so that no event of the socket comes before its listeners.
  const tls = target.scheme === 'ssl' ? await import('node:tls') : undefined;
  return new Promise((resolve, reject) => {
    const socket = dial(target, tls, options.tls);
    const ready = target.scheme === 'ssl' ? 'secureConnect' : 'connect';
    const fail = (cause: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new OvsdbError('connection', `cannot connect to OVSDB at ${text}`, { cause }));
    };
    const timer = setTimeout(() => fail(new Error(`no connection in ${options.timeoutMs} ms`)), options.timeoutMs);
    socket.once('error', fail);
    socket.once(ready, () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

function dial(target: Target, tls: typeof import('node:tls') | undefined, files: TlsFiles | undefined): Socket {
  if (target.scheme === 'unix') return connect({ path: target.path });
  const { host, port } = target;
  if (tls === undefined || files === undefined) return connect({ host, port, noDelay: true, keepAlive: true });
  const { serverName, commonName, ...rest } = files;
  // An address is no server name (RFC 6066, section 3).
  const servername = serverName ?? (isIP(host) === 0 ? host : '');
  const checkServerIdentity = (_name: string, { subject }: PeerCertificate) =>
    subject?.CN === commonName ? undefined : new Error(`the certificate is ${subject?.CN}'s, not ${commonName}'s`);
  return tls.connect({
    ...{ host, port, servername, minVersion: 'TLSv1.2' as const, ...rest },
    ...(commonName !== undefined && { checkServerIdentity }),
  });
}
