/**
 * Consoles of servers for people: pages at /console, and WebSockets that a token opens once. Owns the WebSockets; what a token is for,
 * and where, is in control/compute/console. If the process dies, consoles end, and whoever wants one asks for a new address.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { isCloudError } from '../../contract/errors.ts';
import { guarded } from '../../contract/guarded.ts';
import { type ConsoleKind, consoleKinds } from '../../contract/host/index.ts';
import type { ConsoleService } from '../../control/compute/console/index.ts';
import type { Upgrade } from '../server.ts';
import { relayConsole } from './relay.ts';
import { consolePath } from './url.ts';

/** What a viewer may send at once: a paste, not an upload. */
const maxPayload = 1024 * 1024;
/** Open at once in one process: each is two connections and up to a megabyte. */
const maxOpen = 500;

/** How long a viewer may take to say goodbye when the process ends. */
const closeGraceMs = 1000;

export interface ConsoleOptions {
  consoles: Pick<ConsoleService, 'open'>;
  log: Logger;
}

export function consoleUpgrades(options: ConsoleOptions): { upgrades: Upgrade[]; close(): void } {
  const sockets = new WebSocketServer({
    ...{ noServer: true, perMessageDeflate: false, maxPayload },
    // Clients of old offer base64 as well; binary is what RFB is.
    handleProtocols: (offered) => (offered.has('binary') ? 'binary' : false),
  });
  const upgrades = consoleKinds.map((kind) => ({
    path: consolePath(kind),
    handle: guarded(
      (request: IncomingMessage, socket: Duplex, head: Buffer) => open(kind, { request, socket, head }),
      (error, _request, socket) => {
        const status = isCloudError(error) && Object.hasOwn(statuses, error.code) ? statuses[error.code]! : undefined;
        if (status === undefined) options.log.error({ err: error }, 'console: could not be opened');
        refuse(socket, status ?? '500 Internal Server Error');
      },
    ),
  }));

  let entering = 0;

  async function open(
    kind: ConsoleKind,
    { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  ) {
    if (sockets.clients.size + entering >= maxOpen) return refuse(socket, '503 Service Unavailable');
    if (!isOfThisPage(request.headers)) return refuse(socket, '403 Forbidden');
    // Before the token is used up: what can't become a WebSocket opens nothing.
    if (!isHandshake(request)) return refuse(socket, '400 Bad Request');
    const token = tokenOf(request);
    if (token === undefined) return refuse(socket, statuses.unauthenticated!);
    entering++;
    const console = await options.consoles.open(kind, token).finally(() => entering--);
    socket.once('close', () => console.destroy());
    if (socket.destroyed) console.destroy();
    else
      sockets.handleUpgrade(request, socket, head, (webSocket: WebSocket) =>
        relayConsole(webSocket, console, options.log),
      );
  }

  return {
    upgrades,
    close() {
      for (const client of sockets.clients) {
        // A paused socket would never read the peer's answer, and one whose peer is gone never has one.
        client.resume();
        client.close(1001, 'the service is restarted');
        setTimeout(() => client.terminate(), closeGraceMs).unref();
      }
    },
  };
}

/** RFC 6455, section 4.2.1. */
function isHandshake({ method, headers }: IncomingMessage): boolean {
  const { upgrade = '', 'sec-websocket-key': key = '', 'sec-websocket-version': version } = headers;
  return (
    method === 'GET' &&
    upgrade.toLowerCase() === 'websocket' &&
    /^[+/0-9A-Za-z]{22}==$/.test(key) &&
    (version === '13' || version === '8')
  );
}

/** Browsers say where a page is from, others nothing: a page of elsewhere opens no console, also where somebody gave it the address. */
function isOfThisPage({ origin, host }: IncomingMessage['headers']): boolean {
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

/** RFC 9110 section 15. */
const statuses: Readonly<Record<string, string>> = {
  unauthenticated: '401 Unauthorized',
  conflict: '409 Conflict',
  not_found: '404 Not Found',
  unavailable: '503 Service Unavailable',
};

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

function tokenOf({ url = '' }: IncomingMessage): string | undefined {
  const query = url.slice(url.indexOf('?') + 1);
  const token = new URLSearchParams(query).get('token');
  return token !== null && /^[\w-]{1,100}$/.test(token) ? token : undefined;
}
