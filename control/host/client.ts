/**
 * Control as a client of a host's HTTPS service: image bytes, console logs, health. How it is reached: connections.ts.
 *
 * Owns connections only. If the process dies in an upload, the host sees its input end early and keeps nothing.
 */
import type { Duplex, Readable } from 'node:stream';
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
import type { Secret } from '../../contract/secret.ts';
import { type Bytes, getBytes, openBytes } from '../../protocols/bytes/index.ts';
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
import { answerMs, type HostClientOptions, HostConnections, silenceMs } from './connections.ts';
import { HostObjects } from './object-client.ts';
import { upload } from './upload.ts';

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

export class HostClient {
  readonly #connections: HostConnections;
  /** Of its object disks. */
  readonly objects: HostObjects;

  constructor(options: HostClientOptions) {
    this.#connections = new HostConnections(options);
    this.objects = new HostObjects(this.#connections);
  }

  /** It is on this machine, and its socket is there. */
  isLocal(host: HostEndpoint): boolean {
    return this.#connections.isLocal(host);
  }

  /** For connections to come. */
  renew(tls: HostClientOptions['tls']): void {
    this.#connections.renew(tls);
  }

  close(): void {
    this.objects.close();
    this.#connections.close();
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
    const request = this.#connections.request(host, 'PUT', `${hostPaths.image(id)}?${query}`, {
      'content-type': 'application/octet-stream',
      ...(options.sizeBytes === undefined ? {} : { 'content-length': String(options.sizeBytes) }),
    });
    return parseResult(await upload(host, request, source, options.signal));
  }

  /** An image's bytes, from its file where it can be opened here, else as the host streams them. */
  async getImage(host: HostEndpoint, id: ImageId, range?: ByteRange): Promise<Bytes> {
    return (await this.#openImage(host, id, range)) ?? (await this.#streamImage(host, id, range));
  }

  async #openImage(host: HostEndpoint, id: ImageId, range?: ByteRange): Promise<Bytes | undefined> {
    if (!this.isLocal(host)) return undefined;
    try {
      const file = answerOf(host, imageFile, await this.#connections.ask(host, 'GET', hostPaths.imageFile(id)));
      return await openBytes({ ...file, range, silenceMs });
    } catch (error) {
      // Where it is gone meanwhile the host says so once more; whatever else keeps us from the file does not keep the host from it.
      if (hasReason(error, 'host_unreachable')) throw error;
      return undefined;
    }
  }

  async #streamImage(host: HostEndpoint, id: ImageId, range?: ByteRange): Promise<Bytes> {
    const answer = await getBytes({
      to: this.#connections.target(host),
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
    const request = this.#connections.request(host, 'DELETE', hostPaths.image(id));
    request.end();
    const response = await answer(host, request, options.timeoutMs ?? answerMs);
    if (response.statusCode! >= 300 && response.statusCode !== 404) throw await refusal(host, response);
    response.resume();
  }

  /** Idempotent. @throws CloudError with the host's own code; `unavailable` when it can't be reached */
  async deleteBackup(host: HostEndpoint, name: string): Promise<void> {
    const request = this.#connections.request(host, 'DELETE', hostPaths.backup(name));
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
    return answerOf(host, signedCertificate, await this.#connections.ask(host, 'POST', hostPaths.certificates, wish));
  }

  /** What could become volumes of a pool of the host. @throws CloudError with the host's own code; `unavailable` when it can't be reached */
  async manageable(host: HostEndpoint, pool: string): Promise<ManageableFiles> {
    return answerOf(host, manageableFiles, await this.#connections.ask(host, 'GET', hostPaths.manageable(pool)));
  }

  /** Of an image that the host holds. @throws CloudError with the host's own code; `unavailable` when it can't be reached */
  async imageDigests(host: HostEndpoint, id: ImageId): Promise<ImageDigests> {
    return answerOf(host, imageDigests, await this.#connections.ask(host, 'GET', hostPaths.imageDigests(id)));
  }

  /** The last `bytes` bytes of the server's serial console. */
  async consoleLog(host: HostEndpoint, id: ServerId, bytes: number): Promise<Buffer> {
    const request = this.#connections.request(host, 'GET', `${hostPaths.consoleLog(id)}?bytes=${bytes}`);
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
    const request = this.#connections.request(host, 'GET', hostPaths.console(id, kind), headers);
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
    await this.#connections.ask(host, 'POST', hostPaths.nmi(id));
  }

  /** By the guest's agent. @throws CloudError `conflict` where no guest runs, or its agent does not answer or refuses */
  async setPassword(host: HostEndpoint, id: ServerId, { user, password }: GuestPasswordWish): Promise<void> {
    await this.#connections.ask(host, 'PUT', hostPaths.password(id), { user, password: password.reveal() });
  }

  /** @throws CloudError `conflict` where no guest runs */
  async diagnostics(host: HostEndpoint, id: ServerId): Promise<GuestDiagnostics> {
    return answerOf(host, guestDiagnostics, await this.#connections.ask(host, 'GET', hostPaths.diagnostics(id)));
  }

  /** @throws CloudError `not_found` where it is older, `unavailable` where it can't be reached */
  async load(host: HostEndpoint): Promise<HostLoad> {
    return answerOf(host, hostLoad, await this.#connections.ask(host, 'GET', hostPaths.load));
  }

  /** By its own counters, in watts; null: it has none. @throws CloudError `not_found` where it is older, `unavailable` where it can't be reached */
  async watts(host: HostEndpoint): Promise<number | null> {
    return answerOf(host, hostWatts, await this.#connections.ask(host, 'GET', hostPaths.watts)).watts;
  }

  async health(host: HostEndpoint): Promise<unknown> {
    const request = this.#connections.request(host, 'GET', hostPaths.health);
    request.end();
    const response = await answer(host, request, answerMs);
    if (response.statusCode !== 200) throw await refusal(host, response);
    return JSON.parse((await collect(host, response, maxAnswerBytes)).toString('utf8'));
  }
}

function parseResult(body: Buffer): ImageUploadResult {
  const { sizeBytes, virtualSizeBytes, md5, sha256, sha512 } = JSON.parse(body.toString('utf8')) as ImageUploadResult;
  const whole = [sizeBytes, virtualSizeBytes ?? 0].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!whole || !/^[0-9a-f]{32}$/.test(md5) || !/^[0-9a-f]{64}$/.test(sha256) || !/^[0-9a-f]{128}$/.test(sha512)) {
    throw new CloudError('internal', 'host_answer_malformed', {});
  }
  return { sizeBytes, virtualSizeBytes, md5, sha256, sha512 };
}
