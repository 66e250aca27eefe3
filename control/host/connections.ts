/**
 * Connections to hosts' HTTPS services: over the unix socket of the host that is on control's own machine by control's configuration (a path that
 * hosts tell is the same on every machine, and another's word), else over mutual TLS, where the host's certificate must name the host that was meant.
 *
 * Owns two agents and what they keep open.
 */
import { existsSync } from 'node:fs';
import type { ClientRequest, OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import { createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { http } from '../../contract/node-http.ts';
import type { ByteRequest } from '../../protocols/bytes/index.ts';
import { refuseInTransaction } from '../kit/database/transaction-scope.ts';
import { answer, collect, type HostEndpoint, maxAnswerBytes, refusal, unreachable } from './answers.ts';

export interface HostClientOptions {
  /** PEM texts of control's own certificate and of the cloud's CA. */
  tls: { key: string; cert: string; ca: string };
  /** The host on this machine, and its socket here; absent where there is none. */
  local?: { id: string; socket: string } | undefined;
}

/** How long a host may take to answer what needs no work. Uploads and downloads may last; their sockets may not fall silent. */
export const answerMs = 15_000;
export const silenceMs = 60_000;

export class HostConnections {
  readonly #plain = new http.Agent({ keepAlive: true, maxFreeSockets: 4 });
  readonly #tls: https.Agent;
  readonly #local: HostClientOptions['local'];
  /** Read from the certificates once: for each connection by itself it is a millisecond, and memory that only a collection of garbage gives back. */
  #secureContext: SecureContext;

  constructor(options: HostClientOptions) {
    this.#secureContext = secureContextOf(options.tls);
    this.#tls = new https.Agent({ keepAlive: true, maxFreeSockets: 4 });
    this.#local = options.local;
  }

  /** It is on this machine, and its socket is there. */
  isLocal(host: HostEndpoint): boolean {
    return this.#local !== undefined && host.id === this.#local.id && existsSync(this.#local.socket);
  }

  /** For connections to come. */
  renew(tls: HostClientOptions['tls']): void {
    this.#secureContext = secureContextOf(tls);
  }

  close(): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }

  /** A small question with a small answer. */
  async ask(
    host: HostEndpoint,
    method: string,
    path: string,
    body?: object,
    { timeoutMs = answerMs, maxBytes = maxAnswerBytes } = {},
  ): Promise<Buffer> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const request = this.request(host, method, path, { 'content-length': Buffer.byteLength(text) });
    request.end(text);
    const response = await answer(host, request, timeoutMs);
    if (response.statusCode! >= 300) throw await refusal(host, response);
    return collect(host, response, maxBytes);
  }

  request(host: HostEndpoint, method: string, path: string, headers: OutgoingHttpHeaders = {}): ClientRequest {
    const target = this.target(host);
    if ('socket' in target)
      return http.request({ agent: this.#plain, socketPath: target.socket, method, path, headers });
    return https.request({ agent: this.#tls, ...target.tls, method, path, headers });
  }

  target(host: HostEndpoint): ByteRequest['to'] {
    refuseInTransaction(`a request to host ${host.id}`);
    if (this.isLocal(host)) return { socket: this.#local!.socket };
    if (!URL.canParse(host.url)) throw unreachable(host, new Error('the host has told no address'));
    const { hostname, port } = new URL(host.url);
    return {
      tls: {
        secureContext: this.#secureContext,
        host: hostname.replace(/^\[(.*)\]$/, '$1'),
        port: Number(port || 443),
        // Connections to different hosts must not be confused where they share an address.
        servername: host.id,
        checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
          certificate.subject?.CN === host.id
            ? undefined
            : new Error(`the certificate names ${certificate.subject?.CN}, not ${host.id}`),
      },
    };
  }
}

function secureContextOf(tls: HostClientOptions['tls']): SecureContext {
  return createSecureContext({ ...tls, minVersion: 'TLSv1.3' });
}
