/**
 * The host's HTTPS service: bytes for control and for other hosts. Mutual TLS over TCP; plain over a unix socket whose
 * directory entry only control's user may open. Owns two listeners, nothing else. Every error is a HostError.
 *
 * Over TCP the certificate says who asks: control may do everything, another host may read images, health, and layers and blobs of which control
 * says that it may.
 */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTls, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { guarded } from '../../contract/guarded.ts';
import { type ConsoleKind, consoleKinds, hostPaths } from '../../contract/host/index.ts';
import { type HostId, type ImageId, type LayerId, parseId, type ServerId } from '../../contract/ids.ts';
import { http } from '../../contract/node-http.ts';
import type { TlsTexts } from '../../protocols/tls/index.ts';
import { asFault, HostFault } from '../host-error.ts';
import type { HostLogger } from '../logger.ts';

export type Peer = 'control' | 'host';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  query: URLSearchParams;
  peer: Peer;
  /** Whose certificate it is. Undefined: control's. */
  hostId: HostId | undefined;
}

interface Caller {
  peer: Peer;
  hostId: HostId | undefined;
}

export interface ServiceRoutes {
  putImage(id: ImageId, exchange: Exchange): Promise<void>;
  getImage(id: ImageId, exchange: Exchange): Promise<void>;
  deleteImage(id: ImageId, exchange: Exchange): Promise<void>;
  getLayer(id: LayerId, exchange: Exchange): Promise<void>;
  deleteBackup(name: string, exchange: Exchange): Promise<void>;
  manageable(pool: string, exchange: Exchange): Promise<void>;
  imageFile(id: ImageId, exchange: Exchange): Promise<void>;
  imageDigests(id: ImageId, exchange: Exchange): Promise<void>;
  consoleLog(id: ServerId, exchange: Exchange): Promise<void>;
  nmi(id: ServerId, exchange: Exchange): Promise<void>;
  diagnostics(id: ServerId, exchange: Exchange): Promise<void>;
  password(id: ServerId, exchange: Exchange): Promise<void>;
  health(exchange: Exchange): Promise<void>;
  certify(exchange: Exchange): Promise<void>;
  watts(exchange: Exchange): Promise<void>;
  load(exchange: Exchange): Promise<void>;
  /** @param rest the path behind `/v1/objects/` */
  objects(rest: readonly string[], exchange: Exchange): Promise<void>;
  /** Takes over the connection and answers on it, or throws and has written nothing. */
  console(id: ServerId, kind: ConsoleKind, caller: Duplex, head: Buffer): Promise<void>;
}

/** What there is to ask about an image; control's alone. */
const imageRoutes: Readonly<Record<string, 'imageDigests' | 'imageFile'>> = {
  digests: 'imageDigests',
  file: 'imageFile',
};

/** What there is of a server, and by which method; all of it is control's alone. */
const serverRoutes: Readonly<Record<string, { method: string; route: ServerRoute }>> = {
  'console-log': { method: 'GET', route: 'consoleLog' },
  diagnostics: { method: 'GET', route: 'diagnostics' },
  nmi: { method: 'POST', route: 'nmi' },
  password: { method: 'PUT', route: 'password' },
};
type ServerRoute = 'consoleLog' | 'nmi' | 'diagnostics' | 'password';

export interface ServiceOptions {
  tls: TlsTexts;
  listen: { address: string; port: number };
  socket: { path: string; owner?: { uid: number; gid: number } | undefined } | null;
  controlName: string | undefined;
  routes: ServiceRoutes;
  log: HostLogger;
}

const secureContext = ({ key, cert, ca }: TlsTexts) => ({ key, cert, ca, minVersion: 'TLSv1.3' as const });

/** A machine that vanishes says nothing: without this whoever looks at a screen on which nothing moves would be kept for ever. */
const requireAlive = { keepAlive: true, keepAliveInitialDelay: 10_000 } as const;

/** How long a caller may go on sending what was refused. */
const drainMs = 2000;

const statuses: Record<string, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  corrupt: 409,
  too_large: 413,
  range: 416,
  unavailable: 503,
  no_capacity: 507,
};

export class HostHttpService {
  readonly #options: ServiceOptions;
  readonly #servers: Server[] = [];
  readonly #upgraded = new Set<Duplex>();
  #secure: HttpsServer | undefined;
  #port = 0;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const { tls, listen, socket } = this.#options;
    const secure = createTls(
      { ...secureContext(tls), ...requireAlive, requestCert: true, rejectUnauthorized: true },
      (request, response) => this.#serve(request, response, () => this.#callerOf(request.socket as TLSSocket)),
    );
    this.#secure = secure;
    await this.#listen(secure, { host: listen.address, port: listen.port });
    this.#port = (secure.address() as AddressInfo).port;
    if (!socket) return;
    const plain = http.createServer(((request, response) =>
      this.#serve(request, response, () => ({ peer: 'control', hostId: undefined }))) satisfies RequestListener);
    rmSync(socket.path, { force: true });
    await this.#listen(plain, { path: socket.path });
    if (socket.owner) chownSync(socket.path, socket.owner.uid, socket.owner.gid);
    chmodSync(socket.path, 0o600);
  }

  /** For connections to come; those that are open stay as they are. */
  renew(tls: TlsTexts): void {
    this.#secure?.setSecureContext(secureContext(tls));
  }

  async stop(): Promise<void> {
    for (const socket of this.#upgraded) socket.destroy();
    await Promise.all(
      this.#servers.map((server) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  async #listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
    // Uploads last; an idle connection does not.
    server.requestTimeout = 0;
    server.headersTimeout = 20_000;
    server.keepAliveTimeout = 30_000;
    server.on(
      'upgrade',
      guarded(
        (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(request, socket, head),
        (error, _request, socket) => this.#refuseUpgrade(socket, error),
      ),
    );
    server.on('tlsClientError', (error: Error) => this.#options.log.debug({ err: error }, 'host service: TLS failed'));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(where, () => resolve());
    });
    server.removeAllListeners('error');
    server.on('error', (err) => this.#options.log.error({ err }, 'host service: a connection could not be taken'));
    this.#servers.push(server);
  }

  #callerOf(socket: TLSSocket): Caller | undefined {
    // Null where the connection ended meanwhile, whatever the types say.
    const { CN } = socket.getPeerCertificate()?.subject ?? {};
    const { controlName } = this.#options;
    const hostId = typeof CN === 'string' ? parseId<HostId>(CN) : undefined;
    if (controlName === undefined || CN === controlName) return { peer: 'control', hostId };
    return hostId && { peer: 'host', hostId };
  }

  #serve(request: IncomingMessage, response: ServerResponse, callerOf: () => Caller | undefined): void {
    response.on('error', () => {});
    this.#route(request, response, callerOf)
      .catch((error) => this.#refuse(request, response, error))
      .catch((err) => {
        this.#options.log.error({ err }, 'host service: a request could not be answered');
        response.destroy();
      });
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Node lets go of a socket that is upgraded: its errors and its end are ours.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#upgraded.delete(socket));
    this.#upgraded.add(socket);
    // The plain listener is a unix socket that only control may open.
    if ('authorized' in socket && this.#callerOf(socket as TLSSocket)?.peer !== 'control') {
      throw new HostFault('forbidden', 'only control asks for consoles');
    }
    const [, version, kind, idText, what, name, ...rest] = pathOf(request).split('/');
    const id = parseId<ServerId>(idText ?? '');
    const console = consoleKinds.find((known) => known === name);
    if (version !== 'v1' || kind !== 'servers' || what !== 'console' || !id || !console || rest.length > 0) {
      throw new HostFault('not_found', 'there is nothing here');
    }
    await this.#options.routes.console(id, console, socket, head);
  }

  #refuseUpgrade(socket: Duplex, error: unknown): void {
    const fault = asFault(error);
    const status = statuses[fault.code] ?? 500;
    this.#options.log.info({ err: error, status }, 'host service: an upgrade was refused');
    const body = JSON.stringify({ error: { code: fault.code, message: fault.message } });
    const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: application/json`;
    socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  async #route(request: IncomingMessage, response: ServerResponse, callerOf: () => Caller | undefined): Promise<void> {
    const caller = callerOf();
    if (!caller) throw new HostFault('forbidden', 'the certificate is neither control’s nor a host’s');
    const { routes } = this.#options;
    if (!URL.canParse(request.url ?? '/', 'http://host')) throw new HostFault('not_found', 'the target is no path');
    const url = new URL(request.url ?? '/', 'http://host');
    const { peer } = caller;
    const exchange = { request, response, query: url.searchParams, ...caller };
    const method = request.method ?? '';
    if (url.pathname === hostPaths.health && method === 'GET') return routes.health(exchange);
    if (url.pathname === hostPaths.certificates && method === 'POST') {
      if (peer !== 'control') throw new HostFault('forbidden', 'only control has certificates signed');
      return routes.certify(exchange);
    }
    if (url.pathname === hostPaths.watts && method === 'GET') {
      if (peer !== 'control') throw new HostFault('forbidden', 'only control asks what the machine takes');
      return routes.watts(exchange);
    }
    if (url.pathname === hostPaths.load && method === 'GET') {
      if (peer !== 'control') throw new HostFault('forbidden', 'only control asks how busy the machine is');
      return routes.load(exchange);
    }
    const [, version, kind, idText, ...rest] = url.pathname.split('/');
    if (version === 'v1' && kind === 'backups' && rest.length === 0 && method === 'DELETE') {
      if (peer !== 'control') throw new HostFault('forbidden', 'only control removes backups');
      return routes.deleteBackup(decoded(idText ?? ''), exchange);
    }
    if (version === 'v1' && kind === 'pools' && rest.join('/') === 'manageable' && method === 'GET') {
      if (peer !== 'control') throw new HostFault('forbidden', 'only control asks about pools');
      return routes.manageable(decoded(idText ?? ''), exchange);
    }
    if (version === 'v1' && kind === 'objects' && idText !== undefined)
      return routes.objects([idText, ...rest], exchange);
    const id = parseId(idText ?? '');
    if (version !== 'v1' || id === undefined) throw new HostFault('not_found', 'there is nothing here');
    if (kind === 'images' && rest.length === 0) {
      if (method === 'GET' || method === 'HEAD') return routes.getImage(id as ImageId, exchange);
      if (peer !== 'control') throw new HostFault('forbidden', 'only control changes images');
      if (method === 'PUT') return routes.putImage(id as ImageId, exchange);
      if (method === 'DELETE') return routes.deleteImage(id as ImageId, exchange);
      throw new HostFault('method_not_allowed', `${method} is not possible here`);
    }
    if (kind === 'layers' && rest.length === 0) {
      if (method === 'GET') return routes.getLayer(id as LayerId, exchange);
      throw new HostFault('method_not_allowed', `${method} is not possible here`);
    }
    const [name = ''] = rest;
    const asked = kind === 'images' && rest.length === 1 && Object.hasOwn(imageRoutes, name) && imageRoutes[name];
    if (asked && method === 'GET') {
      if (peer !== 'control') throw new HostFault('forbidden', 'only control asks about images');
      return routes[asked](id as ImageId, exchange);
    }
    const found = kind === 'servers' && rest.length === 1 && Object.hasOwn(serverRoutes, name) && serverRoutes[name];
    if (found && found.method === method) {
      if (peer !== 'control') throw new HostFault('forbidden', 'only control asks about servers');
      return routes[found.route](id as ServerId, exchange);
    }
    throw new HostFault('not_found', 'there is nothing here');
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const fault = asFault(error);
    const status = statuses[fault.code] ?? 500;
    const fields = { err: error, method: request.method, url: request.url, status };
    if (status >= 500) this.#options.log.error(fields, 'host service: a request failed');
    else this.#options.log.info(fields, 'host service: a request was refused');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const message = status === 500 ? 'the host failed to do this; its log says why' : fault.message;
    answerJson(response, status, { error: { code: fault.code, message } });
    if (request.complete) return;
    // Closed at once, the connection would be reset under a caller that still sends, and the answer lost with it. So the rest
    // is read and dropped, for a while.
    const { socket } = request;
    request.resume();
    const patience = setTimeout(() => socket.destroy(), drainMs).unref();
    request.once('close', () => clearTimeout(patience));
  }
}

/** A part of a path as it was before it was encoded. @throws HostFault */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new HostFault('not_found', 'there is nothing here');
  }
}

const pathOf = ({ url = '/' }: IncomingMessage): string => url.split('?', 1)[0]!;

/** @throws HostFault where the body is longer */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new HostFault('too_large', `the body has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
