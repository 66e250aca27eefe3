/**
 * The API server: one TLS port, one path prefix per dialect. Owns the socket; knows no cloud.
 *
 * A dialect is a Fastify plugin with its own error handler, so that every refusal, also of a malformed body, comes
 * in the dialect's own form.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync, LogController } from 'fastify';
import type { Logger } from 'pino';
import { newId } from '../contract/ids.ts';

export interface Dialect {
  /** First path segment(s), e.g. '/compute'. */
  prefix: string;
  plugin: FastifyPluginAsync;
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
}

/** JSON bodies larger than this are refused with 413. Streams (image bytes) have limits of their own. */
export const maxJsonBytes = 1024 * 1024;

export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const app = Fastify({
    https: {
      key: options.tls.key,
      cert: options.tls.cert,
      ca: options.tls.ca,
      requestCert: true,
      // Clients without a certificate are the rule; the host dialect checks `authorized` itself.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
    },
    loggerInstance: options.log as unknown as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxJsonBytes,
    // Never trust a client's id: it would end up in the change log.
    genReqId: () => `req-${newId()}`,
    requestTimeout: 0,
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
    exposeHeadRoutes: false,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: false, allowUnionTypes: true } },
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-openstack-request-id', request.id);
  });
  for (const { prefix, plugin } of options.dialects) {
    await app.register(plugin, { prefix });
  }
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = new URL(request.url ?? '/', 'https://bothy').pathname;
    const upgrade = options.upgrades?.find((candidate) => candidate.path === path);
    if (upgrade) upgrade.handle(request, socket, head);
    else socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n');
  });
  return app as unknown as FastifyInstance;
}
