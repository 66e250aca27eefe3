/**
 * Control as a client of a host's HTTPS service: image bytes, console logs, health. Over the unix socket of the host that
 * is on control's own machine by control's configuration (a path that hosts tell is the same on every machine, and another's
 * word), else over mutual TLS, where the host's certificate must name the host that was meant.
 *
 * Owns connections only. If the process dies in an upload, the host sees its input end early and keeps nothing.
 */
import { existsSync } from 'node:fs';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import type { Duplex, Readable } from 'node:stream';
import { createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { CloudError, hasReason } from '../../contract/errors.ts';
import {
  type CertificateRequest,
  type ConsoleKind,
  consoleProtocol,
  type GuestDiagnostics,
  guestDiagnostics,
  type HostLoad,
  hostLoad,
  hostPaths,
  hostWatts,
  type ImageDigests,
  type ImageFormat,
  type ImageUploadResult,
  imageDigests,
  imageFile,
  type ManageableFiles,
  manageableFiles,
  type SignedCertificate,
  signedCertificate,
} from '../../contract/host/index.ts';
import type { ImageId, ServerId } from '../../contract/ids.ts';
import { http } from '../../contract/node-http.ts';
import type { Secret } from '../../contract/secret.ts';
import { type ByteRequest, type Bytes, getBytes, openBytes, pump } from '../../protocols/bytes/index.ts';
import { refuseInTransaction } from '../kit/database/transaction-scope.ts';
import {
  answer,
  answerOf,
  collect,
  type HostEndpoint,
  maxAnswerBytes,
  refusal,
  refused,
  unreachable,
} from './answers.ts';

export interface HostClientOptions {
  /** PEM texts of control's own certificate and of the cloud's CA. */
  tls: { key: string; cert: string; ca: string };
  /** The host on this machine, and its socket here; absent where there is none. */
  local?: { id: string; socket: string } | undefined;
}

export interface GuestPasswordWish {
  user: string;
  password: Secret;
}

export interface PutImageOptions {
  format: ImageFormat;
  /** The host refuses more with `too_large`. */
  maxBytes: number;
  /** When known, the host refuses a body of any other length. */
  sizeBytes?: number | undefined;
  signal?: AbortSignal;
}

export interface ByteRange {
  /** Both inclusive, as in HTTP. */
  first: number;
  last: number;
}

/** How long a host may take to answer what needs no work. Uploads and downloads may last; their sockets may not fall silent. */
const answerMs = 15_000;
const silenceMs = 60_000;
/** Inspection of a stored image may read much of it. */
const inspectionMs = 300_000;

export class HostClient {
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

  /**
   * Streams an image in. The host answers after it has stored and inspected the whole. The source's buffers are given away:
   * their memory is freed as soon as it is written.
   * @throws CloudError with the host's own code and message when it refuses; `invalid` when the source ends early;
   *   `unavailable` when the host can't be reached or breaks off
   */
  async putImage(
    host: HostEndpoint,
    id: ImageId,
    source: Readable,
    options: PutImageOptions,
  ): Promise<ImageUploadResult> {
    const query = new URLSearchParams({ format: options.format, maxBytes: String(options.maxBytes) });
    const request = this.#request(host, 'PUT', `${hostPaths.image(id)}?${query}`, {
      'content-type': 'application/octet-stream',
      ...(options.sizeBytes === undefined ? {} : { 'content-length': String(options.sizeBytes) }),
    });
    return upload(host, request, source, options.signal);
  }

  /** An image's bytes, from its file where it can be opened here, else as the host streams them. */
  async getImage(host: HostEndpoint, id: ImageId, range?: ByteRange): Promise<Bytes> {
    return (await this.#openImage(host, id, range)) ?? (await this.#streamImage(host, id, range));
  }

  async #openImage(host: HostEndpoint, id: ImageId, range?: ByteRange): Promise<Bytes | undefined> {
    if (!this.isLocal(host)) return undefined;
    try {
      const file = answerOf(host, imageFile, await this.#ask(host, 'GET', hostPaths.imageFile(id)));
      return await openBytes({ ...file, range, silenceMs });
    } catch (error) {
      // Where it is gone meanwhile the host says so once more; whatever else keeps us from the file does not keep the host from it.
      if (hasReason(error, 'host_unreachable')) throw error;
      return undefined;
    }
  }

  async #streamImage(host: HostEndpoint, id: ImageId, range?: ByteRange): Promise<Bytes> {
    const answer = await getBytes({
      to: this.#target(host),
      path: hostPaths.image(id),
      headers: range ? { range: `bytes=${range.first}-${range.last}` } : {},
      ...{ answerMs, silenceMs },
    }).catch((error) => {
      throw unreachable(host, error);
    });
    const { status } = answer.head;
    if (status === (range ? 206 : 200)) return answer;
    throw refused(host, status, await answer.text(maxAnswerBytes).catch(() => ''));
  }

  /** Idempotent: what is not there is deleted. */
  async deleteImage(host: HostEndpoint, id: ImageId, options: { timeoutMs?: number } = {}): Promise<void> {
    const request = this.#request(host, 'DELETE', hostPaths.image(id));
    request.end();
    const response = await answer(host, request, options.timeoutMs ?? answerMs);
    if (response.statusCode! >= 300 && response.statusCode !== 404) throw await refusal(host, response);
    response.resume();
  }

  /** Idempotent. @throws CloudError with the host's own code; `unavailable` when it can't be reached */
  async deleteBackup(host: HostEndpoint, name: string): Promise<void> {
    const request = this.#request(host, 'DELETE', hostPaths.backup(name));
    request.end();
    const response = await answer(host, request, answerMs);
    if (response.statusCode! >= 300 && response.statusCode !== 404) throw await refusal(host, response);
    response.resume();
  }

  /**
   * Has the authority beside the host sign a host's certificate. @throws CloudError `invalid` where the request is none; `unavailable` when the host
   * can't be reached
   */
  async certify(host: HostEndpoint, wish: CertificateRequest): Promise<SignedCertificate> {
    return answerOf(host, signedCertificate, await this.#ask(host, 'POST', hostPaths.certificates, wish));
  }

  /** What could become volumes of a pool of the host. @throws CloudError with the host's own code; `unavailable` when it can't be reached */
  async manageable(host: HostEndpoint, pool: string): Promise<ManageableFiles> {
    return answerOf(host, manageableFiles, await this.#ask(host, 'GET', hostPaths.manageable(pool)));
  }

  /** Of an image that the host holds. @throws CloudError with the host's own code; `unavailable` when it can't be reached */
  async imageDigests(host: HostEndpoint, id: ImageId): Promise<ImageDigests> {
    return answerOf(host, imageDigests, await this.#ask(host, 'GET', hostPaths.imageDigests(id)));
  }

  /** The last `bytes` bytes of the server's serial console. */
  async consoleLog(host: HostEndpoint, id: ServerId, bytes: number): Promise<Buffer> {
    const request = this.#request(host, 'GET', `${hostPaths.consoleLog(id)}?bytes=${bytes}`);
    request.end();
    const response = await answer(host, request, answerMs);
    if (response.statusCode !== 200) throw await refusal(host, response);
    return collect(host, response, bytes);
  }

  /**
   * A guest's console, as bytes both ways; whoever gets it must read it or destroy it.
   * @throws CloudError `conflict` where no guest with such a console runs, `unavailable` when the host can't be reached
   */
  async console(host: HostEndpoint, id: ServerId, kind: ConsoleKind): Promise<Duplex> {
    const headers = { connection: 'upgrade', upgrade: consoleProtocol };
    const request = this.#request(host, 'GET', hostPaths.console(id, kind), headers);
    let taken: Duplex | undefined;
    request.once('upgrade', (response, socket: Duplex, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      taken = socket;
      request.emit('response', response);
    });
    request.end();
    const response = await answer(host, request, answerMs);
    if (!taken) throw await refusal(host, response);
    return taken;
  }

  /** A non-maskable interrupt. @throws CloudError `conflict` where no guest runs */
  async injectNmi(host: HostEndpoint, id: ServerId): Promise<void> {
    await this.#ask(host, 'POST', hostPaths.nmi(id));
  }

  /** By the guest's agent. @throws CloudError `conflict` where no guest runs, or its agent does not answer or refuses */
  async setPassword(host: HostEndpoint, id: ServerId, { user, password }: GuestPasswordWish): Promise<void> {
    await this.#ask(host, 'PUT', hostPaths.password(id), { user, password: password.reveal() });
  }

  /** @throws CloudError `conflict` where no guest runs */
  async diagnostics(host: HostEndpoint, id: ServerId): Promise<GuestDiagnostics> {
    return answerOf(host, guestDiagnostics, await this.#ask(host, 'GET', hostPaths.diagnostics(id)));
  }

  /** @throws CloudError `not_found` where it is older, `unavailable` where it can't be reached */
  async load(host: HostEndpoint): Promise<HostLoad> {
    return answerOf(host, hostLoad, await this.#ask(host, 'GET', hostPaths.load));
  }

  /** By its own counters, in watts; null: it has none. @throws CloudError `not_found` where it is older, `unavailable` where it can't be reached */
  async watts(host: HostEndpoint): Promise<number | null> {
    return answerOf(host, hostWatts, await this.#ask(host, 'GET', hostPaths.watts)).watts;
  }

  /** A small question with a small answer. */
  async #ask(host: HostEndpoint, method: string, path: string, body?: object): Promise<Buffer> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const request = this.#request(host, method, path, { 'content-length': Buffer.byteLength(text) });
    request.end(text);
    const response = await answer(host, request, answerMs);
    if (response.statusCode! >= 300) throw await refusal(host, response);
    return collect(host, response, maxAnswerBytes);
  }

  async health(host: HostEndpoint): Promise<unknown> {
    const request = this.#request(host, 'GET', hostPaths.health);
    request.end();
    const response = await answer(host, request, answerMs);
    if (response.statusCode !== 200) throw await refusal(host, response);
    return JSON.parse((await collect(host, response, maxAnswerBytes)).toString('utf8'));
  }

  #request(host: HostEndpoint, method: string, path: string, headers: OutgoingHttpHeaders = {}): ClientRequest {
    const target = this.#target(host);
    if ('socket' in target)
      return http.request({ agent: this.#plain, socketPath: target.socket, method, path, headers });
    return https.request({ agent: this.#tls, ...target.tls, method, path, headers });
  }

  #target(host: HostEndpoint): ByteRequest['to'] {
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

/** Pipes without looking at the bytes. A host may refuse before it has read all: then its word counts, not the broken pipe. */
function upload(
  host: HostEndpoint,
  request: ClientRequest,
  source: Readable,
  signal?: AbortSignal,
): Promise<ImageUploadResult> {
  return new Promise((resolve, reject) => {
    let settled = false;
    let cut = false;
    let stopPumping = () => {};
    const finish = (settle: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      stopPumping();
      source.off('error', broken).off('aborted', broken).off('close', closed);
      signal?.removeEventListener('abort', broken);
      settle();
    };
    const broken = () => {
      cut = true;
      request.destroy();
      finish(() => reject(new CloudError('invalid', 'upload_cut_off', {})));
    };
    const closed = () => {
      if (!source.readableEnded) broken();
    };
    let timer: NodeJS.Timeout | undefined;
    request.setTimeout(silenceMs, () => {
      if (request.writableFinished) return;
      if (request.writableNeedDrain) request.destroy(new Error('the host fell silent'));
      else broken();
    });
    request.once('finish', () => {
      timer = setTimeout(() => request.destroy(new Error('the host did not answer')), inspectionMs);
    });
    request.once('response', (response) => {
      const done = response.statusCode! < 300;
      (done ? collect(host, response, maxAnswerBytes).then(parseResult) : refusal(host, response).then(rethrow)).then(
        (result) => finish(() => resolve(result)),
        (error) => {
          finish(() => reject(error));
          request.destroy();
        },
      );
    });
    request.on('error', (error) => {
      // The host's refusal may be on its way behind the reset of a pipe that it closed.
      setImmediate(() => {
        if (!cut && !request.res) finish(() => reject(unreachable(host, error)));
      });
    });
    source.once('error', broken).once('aborted', broken).once('close', closed);
    signal?.addEventListener('abort', broken, { once: true });
    if (source.destroyed && !source.readableEnded) broken();
    else stopPumping = pump(source, request);
  });
}

declare module 'node:http' {
  interface ClientRequest {
    /** The answer, once it has come (Node sets it; the types don't say so). */
    res?: IncomingMessage | null;
  }
}

const rethrow = (error: CloudError): never => {
  throw error;
};

function parseResult(body: Buffer): ImageUploadResult {
  const { sizeBytes, virtualSizeBytes, md5, sha256, sha512 } = JSON.parse(body.toString('utf8')) as ImageUploadResult;
  const whole = [sizeBytes, virtualSizeBytes ?? 0].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!whole || !/^[0-9a-f]{32}$/.test(md5) || !/^[0-9a-f]{64}$/.test(sha256) || !/^[0-9a-f]{128}$/.test(sha512)) {
    throw new CloudError('internal', 'host_answer_malformed', {});
  }
  return { sizeBytes, virtualSizeBytes, md5, sha256, sha512 };
}
