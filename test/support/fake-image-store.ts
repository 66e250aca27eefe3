/**
 * The image part of a host's HTTPS service on the wire: PUT, GET with Range, DELETE, over a unix socket or TLS. Bytes in memory,
 * hashed as they come; misbehaves on request.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestTls } from './certificates.ts';

export interface StoredImage {
  bytes: Buffer;
  format: string | null;
}

export class FakeImageStore implements AsyncDisposable {
  readonly images = new Map<string, StoredImage>();
  /** What came, as 'METHOD path'. */
  readonly requests: string[] = [];
  /** Answered to a PUT after its whole body came, or at once with `early`. */
  refuse: { status: number; code: string; message: string; early?: boolean } | undefined;
  /** Called when a PUT's first bytes are here; the answer waits for it. */
  hold: (() => Promise<void>) | undefined;
  /** Called when a DELETE is here; the answer waits for it. */
  holdDelete: (() => Promise<void>) | undefined;
  /** Says what is answered to a question for digests: null, they are not known yet; undefined, those of the bytes. */
  digests: () => Record<string, string> | null | undefined = () => undefined;
  /** PUTs whose input ended early. */
  cut = 0;
  keepBytes = true;
  readonly #downloads = new Set<http.ServerResponse>();
  /** Ends the connection instead of an answer. */
  breakOff = false;
  readonly #folder = mkdtempSync(join(tmpdir(), 'bothy-test-store-'));
  readonly socket = join(this.#folder, 'host.socket');
  readonly #server: http.Server | https.Server;

  private constructor(tls?: TestTls) {
    const listener: http.RequestListener = (request, response) => void this.#serve(request, response);
    this.#server = tls
      ? https.createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, listener)
      : http.createServer(listener);
  }

  /** Over the unix socket, or over TLS where given. */
  static async start(tls?: TestTls): Promise<FakeImageStore> {
    const store = new FakeImageStore(tls);
    if (tls) store.#server.listen(0, '127.0.0.1');
    else store.#server.listen(store.socket);
    await once(store.#server, 'listening');
    return store;
  }

  /** GETs whose bytes are on their way. */
  get sending(): number {
    return this.#downloads.size;
  }

  cutDownloads(): void {
    for (const response of this.#downloads) response.destroy();
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://host');
    this.requests.push(`${request.method} ${url.pathname}`);
    const [, id, about] = /^\/v1\/images\/([0-9a-f-]{36})(\/digests|\/file)?$/.exec(url.pathname) ?? [];
    if (this.breakOff || !id) {
      request.socket.destroy();
      return;
    }
    const known = about === '/digests' && this.images.get(id);
    // Its bytes are in no file.
    if (about === '/file') notFound(response);
    else if (known) this.#tellDigests(known, response);
    else if (request.method === 'PUT') await this.#put(id, url.searchParams, request, response);
    else if (request.method === 'DELETE') {
      await this.holdDelete?.();
      this.images.delete(id);
      response.writeHead(204).end();
    } else this.#get(id, request, response);
  }

  async #put(
    id: string,
    query: URLSearchParams,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    const refuse = (status: number, code: string, message: string) => {
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: { code, message } }));
      request.resume();
    };
    if (this.refuse?.early) return refuse(this.refuse.status, this.refuse.code, this.refuse.message);
    const chunks: Buffer[] = [];
    const digests = ['md5', 'sha256', 'sha512'].map((algorithm) => createHash(algorithm));
    let size = 0;
    const maxBytes = Number(query.get('maxBytes'));
    try {
      for await (const chunk of request) {
        if (size === 0) await this.hold?.();
        size += chunk.length;
        if (size > maxBytes) return refuse(413, 'too_large', `the image has more than ${maxBytes} bytes`);
        for (const digest of digests) digest.update(chunk);
        if (this.keepBytes) chunks.push(chunk);
      }
    } catch {
      this.cut++;
      return;
    }
    if (this.refuse) return refuse(this.refuse.status, this.refuse.code, this.refuse.message);
    this.images.set(id, { bytes: Buffer.concat(chunks), format: query.get('format') });
    const [md5, sha256, sha512] = digests.map((digest) => digest.digest('hex'));
    const result = { sizeBytes: size, virtualSizeBytes: size, md5, sha256, sha512 };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result));
  }

  #tellDigests({ bytes }: StoredImage, response: http.ServerResponse): void {
    const hex = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex');
    const told = this.digests();
    const digests = told === undefined ? { md5: hex('md5'), sha256: hex('sha256'), sha512: hex('sha512') } : told;
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ sizeBytes: bytes.length, digests }));
  }

  #get(id: string, request: http.IncomingMessage, response: http.ServerResponse): void {
    const image = this.images.get(id);
    if (!image) {
      notFound(response);
      return;
    }
    this.#downloads.add(response);
    response.once('close', () => this.#downloads.delete(response));
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (range) {
      const piece = image.bytes.subarray(Number(range[1]), Number(range[2]) + 1);
      response.writeHead(206, { 'content-length': piece.length }).end(piece);
    } else response.writeHead(200, { 'content-length': image.bytes.length }).end(image.bytes);
  }
}

function notFound(response: http.ServerResponse): void {
  response
    .writeHead(404, { 'content-type': 'application/json' })
    .end('{"error":{"code":"not_found","message":"no image"}}');
}
