/**
 * The WebSocket endpoint that hosts dial (contract/host/). Owns the sockets; who the peer is, is its certificate's
 * word alone: signed by the cloud's CA, subject CN = the host's id. All meaning is in control/host.
 */
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
export function certifiedHost(socket: Socket): HostId | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // Null where the socket has been destroyed meanwhile, whatever the types say.
  const { CN } = socket.getPeerCertificate()?.subject ?? {};
  return typeof CN === 'string' ? parseId<HostId>(CN) : undefined;
}

/** The addresses that this host's certificate names. */
export function certifiedAddresses(socket: Socket): string[] {
  const names = socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate()?.subjectAltName : '';
  return (names ?? '').split(', ').flatMap((name) => /^IP Address:(.+)$/.exec(name)?.[1] ?? []);
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
    mine(() => session.heard()),
  );
  webSocket.on(
    'ping',
    mine((data: Buffer) => session.pinged(data.toString('latin1'))),
  );
  webSocket.on(
    'close',
    mine(() => session.disconnected()),
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
