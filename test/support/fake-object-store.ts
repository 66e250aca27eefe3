/**
 * The object part of a host's service on the wire, over a unix socket: one disk whose blobs are in memory. Knows blobs by their ids, not by files and
 * offsets; misbehaves on request.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobPlace, ObjectDiskLevel } from '../../contract/host/index.ts';
import { type ChecksumAlgorithm, checksumOf } from '../../protocols/checksum/index.ts';

export interface FakeBlob {
  bytes: Buffer;
  intent: string;
  file: string;
}

export class FakeObjectStore implements AsyncDisposable {
  readonly blobs = new Map<string, FakeBlob>();
  /** What came, as `METHOD path`. */
  readonly requests: string[] = [];
  readonly disks: ObjectDiskLevel[] = [
    { name: 'default', path: '/fake', totalBytes: 2 ** 40, freeBytes: 2 ** 39, problem: null },
  ];
  /** Answered to every write while it is set. */
  refuse: { status: number; code: string; message: string } | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'bothy-test-objects-'));
  readonly socket = join(this.#folder, 'host.socket');
  readonly #server = http.createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<FakeObjectStore> {
    const store = new FakeObjectStore();
    store.#server.listen(store.socket);
    await once(store.#server, 'listening');
    return store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { method = 'GET' } = request;
    const url = new URL(request.url!, 'http://host');
    this.requests.push(`${method} ${url.pathname}`);
    const [, , , kind, id = ''] = url.pathname.split('/');
    try {
      if (kind === 'disks') return answer(response, 200, { disks: this.disks });
      if (kind === 'faults') return answer(response, 200, { scrubbedAt: null, faults: [] });
      if (method === 'GET' && kind === 'blobs') return this.#read(id, request, response);
      if (method === 'POST' || method === 'PUT') return await this.#write(id, url, request, response);
      if (method === 'GET') return answer(response, 200, { files: [] });
      if (kind === 'blobs') this.blobs.delete(id);
      if (kind === 'packs') {
        const [intent, file] = [url.searchParams.get('intent'), url.searchParams.get('file')];
        for (const [key, blob] of this.blobs) if (blob.intent === intent && blob.file === file) this.blobs.delete(key);
      }
      return answer(response, 204);
    } catch (error) {
      response.destroy(error as Error);
    }
  }

  async #write(id: string, url: URL, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    if (this.refuse) {
      const { status, code, message } = this.refuse;
      return answer(response, status, { error: { code, message } });
    }
    const intent = url.searchParams.get('intent')!;
    if (request.method === 'POST') return answer(response, 200, { places: this.#keepMany(bytes, intent) });
    if (bytes.length > Number(url.searchParams.get('maxBytes'))) {
      return answer(response, 413, { error: { code: 'too_large', message: 'more bytes than were allowed' } });
    }
    this.blobs.set(id, { bytes, intent, file: id });
    const digests = (url.searchParams.get('digests') ?? '').split(',').filter((name) => name !== '');
    return answer(response, 200, {
      file: id,
      sizeBytes: bytes.length,
      digests: Object.fromEntries(
        digests.map((name) => [name, checksumOf(name as ChecksumAlgorithm, bytes).toString('hex')]),
      ),
    });
  }

  #keepMany(bytes: Buffer, intent: string): BlobPlace[] {
    const places: BlobPlace[] = [];
    for (let at = 0; at < bytes.length; ) {
      const hex = bytes.toString('hex', at, at + 16);
      const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      const length = bytes.readUInt32BE(at + 16);
      this.blobs.set(id, { bytes: bytes.subarray(at + 20, at + 20 + length), intent, file: '1.pack' });
      places.push({ file: '1.pack', offset: at });
      at += 20 + length;
    }
    return places;
  }

  #read(id: string, request: http.IncomingMessage, response: http.ServerResponse) {
    const blob = this.blobs.get(id);
    if (!blob) return answer(response, 404, { error: { code: 'not_found', message: 'no such blob' } });
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const bytes = first === undefined ? blob.bytes : blob.bytes.subarray(Number(first), Number(last) + 1);
    response.writeHead(first === undefined ? 200 : 206, { 'content-length': bytes.length }).end(bytes);
  }
}

function answer(response: http.ServerResponse, status: number, body?: object): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}
