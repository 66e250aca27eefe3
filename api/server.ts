/**
 * The API server: one TLS port, one path prefix per dialect. Owns the socket; knows no cloud.
 *
 * A dialect is a Fastify plugin with its own error handler, so that every refusal, also of a malformed body, comes
 * in the dialect's own form.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Server, ServerOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  LogController,
  type preParsingHookHandler,
  type RouteOptions,
} from 'fastify';
import type { Logger } from 'pino';
import { guarded } from '../contract/guarded.ts';
import { newId } from '../contract/ids.ts';

export interface Dialect {
  /** First path segment(s), e.g. '/compute'. */
  prefix: string;
  plugin: FastifyPluginAsync;
  /**
   * Takes a request whose target the router must not read: object names have any slashes, dots and escapes, and S3's buckets may be
   * host names. Answers the path of the dialect's own route that it goes to, the prefix included; that reads `request.originalUrl`,
   * which is what the client sent, byte for byte. Undefined: not its own. It must not throw.
   */
  claim?(request: Pick<IncomingMessage, 'url' | 'method' | 'headers'>): string | undefined;
}

export interface Upgrade {
  path: string;
  /** Takes over the socket; must destroy it when it refuses. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface ApiOptions {
  /** PEM texts. `ca` verifies client certificates of hosts; other clients need none. */
  tls: { key: string; cert: string; ca: string };
  dialects: readonly Dialect[];
  upgrades?: readonly Upgrade[];
  log: Logger;
  /** How long a body of JSON may take to come. */
  bodyMs?: number;
  /** How long a connection lives on which nothing moves: what asks and never reads would keep the answer in memory. */
  silenceMs?: number;
  /** Told of every route. */
  onRoute?: (route: RouteOptions) => void;
}

/** What connections are made with. */
const secureContext = ({ key, cert, ca }: ApiOptions['tls']) => ({ key, cert, ca, minVersion: 'TLSv1.2' as const });

/** For connections to come; those that are open stay as they are. */
export function renewCertificate(app: FastifyInstance, tls: ApiOptions['tls']): void {
  (app.server as Server).setSecureContext(secureContext(tls));
}

/** JSON bodies larger than this are refused with 413. Streams (image bytes) have limits of their own. */
const maxJsonBytes = 1024 * 1024;

export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const { upgrades = [] } = options;
  const app = Fastify({
    https: {
      key: options.tls.key,
      cert: options.tls.cert,
      ca: options.tls.ca,
      requestCert: true,
      // Clients without a certificate are the rule; the host dialect checks `authorized` itself.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      // To any other path an upgrade is only an offer (RFC 9110, section 7.8): its dialect answers as if there were none.
      shouldUpgradeCallback: ({ url }) => upgrades.some(({ path }) => path === pathOf(url)),
    } as ServerOptions,
    loggerInstance: options.log as unknown as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxJsonBytes,
    // Never trust a client's id: it would end up in the change log.
    genReqId: () => `req-${newId()}`,
    // It would count the hours of an upload too: what is to be short is held to it by patienceWithBodies.
    requestTimeout: 0,
    connectionTimeout: options.silenceMs ?? 15 * 60_000,
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
    rewriteUrl: (request) => claimed(options.dialects, request) ?? decodable(request.url ?? '/'),
    exposeHeadRoutes: false,
    // Contracts are checked by the boundary; Fastify's own compilers for schemas would be some megabytes for nothing.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-openstack-request-id', request.id);
    done();
  });
  app.addHook('preParsing', patienceWithBodies(options.bodyMs ?? 30_000));
  if (options.onRoute) app.addHook('onRoute', options.onRoute);
  for (const { prefix, plugin } of options.dialects) {
    await app.register(plugin, { prefix });
  }
  // A failed accept (no file descriptor left) is one connection less, not the end.
  app.server.on('error', (err) => options.log.error({ err }, 'the API could not take a connection'));
  takeUpgrades(app.server, upgrades, options.log);
  return app as unknown as FastifyInstance;
}

/** A body that somebody begins and never ends would keep its connection for ever, and connections are counted. */
function patienceWithBodies(bodyMs: number): preParsingHookHandler {
  return (request, _reply, _payload, done) => {
    const { raw, routeOptions } = request;
    if (!raw.complete && routeOptions.config.contract?.bytes === undefined) {
      const timer = setTimeout(() => raw.destroy(), bodyMs).unref();
      for (const event of ['end', 'close']) raw.once(event, () => clearTimeout(timer));
    }
    done();
  };
}

/**
 * Node lets go of a socket that is upgraded: without a listener of ours its next error, and without a guard every exception
 * here, would end the process.
 */
function takeUpgrades(server: EventEmitter, upgrades: readonly Upgrade[], log: Logger): void {
  const handle = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const upgrade = upgrades.find(({ path }) => path === pathOf(request.url));
    if (upgrade) upgrade.handle(request, socket, head);
    else socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  };
  const failed = (err: unknown, _request: IncomingMessage, socket: Duplex) => {
    log.error({ err }, 'an upgrade failed');
    socket.destroy();
  };
  server.on('upgrade', guarded(handle, failed));
}

function noSchemas(): never {
  throw new Error('a route has a contract, not a schema of Fastify (api/boundary)');
}

/** No URL parser: a request target need not be a path. */
const pathOf = (url = ''): string => url.split('?', 1)[0]!;

/** By the first dialect that takes it. */
function claimed(dialects: readonly Dialect[], request: Pick<IncomingMessage, 'url' | 'method' | 'headers'>) {
  for (const { claim } of dialects) {
    const path = claim?.(request);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** Escapes that are no text are taken literally: as a name they are not found, which the dialect says in its own form. */
function decodable(url: string): string {
  const path = pathOf(url);
  try {
    if (path.includes('%')) decodeURIComponent(path);
    return url;
  } catch {
    return path.replaceAll('%', '%25') + url.slice(path.length);
  }
}
