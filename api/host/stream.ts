/**
 * The WebSocket endpoint that hosts dial (contract/host/). Owns the sockets; who the peer is, is its certificate's
 * word alone: signed by the cloud's CA, subject CN = the host's id. All meaning is in control/host.
 */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { guarded } from '../../contract/guarded.ts';
import { hostStreamPath, messageLimits } from '../../contract/host/index.ts';
import { type HostId, parseId } from '../../contract/ids.ts';
import { closeCodes, type HostConnection, type HostStreams } from '../../control/host/index.ts';
import type { Upgrade } from '../server.ts';

/** A peer that does not answer the closing handshake is cut off after this. */
const closeGraceMs = 2000;

export function hostStream(options: { hosts: Pick<HostStreams, 'open'>; log: Logger }): Upgrade {
  const { hosts, log } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: messageLimits.hostBytes,
  });
  return {
    path: hostStreamPath,
    handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
      const hostId = certifiedHost(socket as TLSSocket);
      if (!hostId) {
        log.warn(
          { peer: (socket as TLSSocket).remoteAddress },
          'host stream: refused a peer without a host certificate',
        );
        socket.on('error', () => {});
        socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
        return;
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, hostId, hosts, log));
    },
  };
}

/** The host that the peer's certificate names, if our CA signed it. */
function certifiedHost(socket: Socket): HostId | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // Null where the socket has been destroyed meanwhile, whatever the types say.
  const { CN } = socket.getPeerCertificate()?.subject ?? {};
  return typeof CN === 'string' ? parseId<HostId>(CN) : undefined;
}

/**
 * The host that the peer's certificate names, and its addresses there, also where it is over: for what keeps a host from being shut out, of which the cloud
 * looks itself whether it knows the host. What TLS says of a certificate is one doubt of several, so who signed it is looked at here.
 * @param root the cloud's, in PEM
 */
export function onceCertified(socket: Socket, root: string): { id: HostId; addresses: string[] } | undefined {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (!certificate?.verify(new X509Certificate(root).publicKey)) return undefined;
  const id = parseId<HostId>(/^CN=(\S+)$/.exec(certificate.subject)?.[1] ?? '');
  const names = (certificate.subjectAltName ?? '').split(', ');
  if (!id) return undefined;
  return { id, addresses: names.flatMap((name) => /^IP Address:(.+)$/.exec(name)?.[1] ?? []) };
}

function serve(webSocket: WebSocket, hostId: HostId, hosts: Pick<HostStreams, 'open'>, log: Logger): void {
  const session = hosts.open(hostId, connectionOver(webSocket));
  // A host is trusted with its own guests, not with this process: what a message of its breaks is its own stream.
  const mine = <Arguments extends unknown[]>(handler: (...args: Arguments) => void) =>
    guarded(handler, (err: unknown, ..._args: Arguments) => {
      log.error({ err, hostId }, 'host stream: a message could not be handled');
      webSocket.terminate();
    });
  webSocket.on(
    'message',
    mine((data: Buffer, isBinary: boolean) => {
      if (isBinary) session.end(closeCodes.binary, 'messages are JSON text');
      else session.received(data.toString('utf8'));
    }),
  );
  webSocket.on(
    'pong',
    mine(() => session.pinged('')),
  );
  webSocket.on(
    'ping',
    mine((data: Buffer) => session.pinged(data.toString('latin1'))),
  );
  webSocket.on(
    'close',
    mine((code: number) => session.disconnected(code)),
  );
  // Too large, not UTF-8, a broken frame, a lost connection: ws has closed the socket with the fitting code.
  webSocket.on(
    'error',
    mine((error: Error) => {
      log.warn({ err: error, hostId }, 'host stream: the connection failed');
      session.disconnected();
    }),
  );
}

function connectionOver(webSocket: WebSocket): HostConnection {
  const ready = () => webSocket.readyState === webSocket.OPEN;
  return {
    send: (text) => {
      if (ready()) webSocket.send(text);
    },
    ping: () => {
      if (ready()) webSocket.ping();
    },
    close: (code, reason) => {
      // A paused socket would never read the peer's answer.
      webSocket.resume();
      webSocket.close(code, reason);
      setTimeout(() => webSocket.terminate(), closeGraceMs).unref();
    },
    terminate: () => webSocket.terminate(),
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    get bufferedBytes() {
      return webSocket.bufferedAmount;
    },
  };
}
