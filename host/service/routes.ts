/** What the host's HTTPS service does for each path. Reads and writes through the image store and the server directories. */
import { type FileHandle, open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import {
  type CertificateRequest,
  certificateRequest,
  type HostWatts,
  type ImageDigests,
  type ImageFile,
  imageFormats,
  type SignedCertificate,
} from '../../contract/host/index.ts';
import type { ImageId, ServerId } from '../../contract/ids.ts';
import { Mismatch, read } from '../../contract/schema/read.ts';
import { readConsoleTail } from '../guest/console-log.ts';
import { HostFault } from '../host-error.ts';
import type { LaterDigests } from '../image/later-digests.ts';
import type { ImageFacts, ImageStore } from '../image/store.ts';
import { deleteImage, receiveImage, type UploadContext } from '../image/upload.ts';
import { machineLoad } from '../machine-load.ts';
import { serverPaths } from '../paths.ts';
import { Rapl } from '../power/rapl.ts';
import type { BackupDirectory } from '../volume/backups.ts';
import type { Layers } from '../volume/layers.ts';
import type { ManagedFiles } from '../volume/managed.ts';
import { type GuestRequestOptions, guestRequests } from './guest-requests.ts';
import { answerJson, type Exchange, readBody, type ServiceRoutes } from './http-service.ts';
import { parseRange } from './range.ts';

export interface RouteOptions {
  dataDirectory: string;
  runDirectory: string;
  maxConsoleBytes: number;
  images: ImageStore;
  upload: UploadContext;
  laterDigests: Pick<LaterDigests, 'find'>;
  guests: GuestRequestOptions;
  /** No image of this id shall be made of a disk. */
  refuseCapture(id: ImageId): Promise<void>;
  backups: Pick<BackupDirectory, 'remove'>;
  managed: Pick<ManagedFiles, 'list'>;
  layers: Pick<Layers, 'openForCopy'>;
  health(): unknown;
  objects: ServiceRoutes['objects'];
  /** Where the kernel shows energy counters. */
  powercap?: string | undefined;
  /** Absent: the cloud's authority is not beside this host. @throws HostFault */
  certify?: Certify | undefined;
}

export type Certify = (request: CertificateRequest) => Promise<SignedCertificate>;

const maxRequestBytes = 16 * 1024;

export function serviceRoutes(options: RouteOptions): ServiceRoutes {
  const { images, upload } = options;
  return {
    ...guestRequests(options.guests),
    objects: options.objects,

    putImage: (id, exchange) => putImage(id, exchange, upload),

    async getImage(id, exchange) {
      const { sizeBytes } = factsOf(images, id);
      await sendFile(() => open(images.path(id), 'r'), sizeBytes, exchange);
    },

    async getLayer(id, exchange) {
      const file = await options.layers.openForCopy(id, exchange.hostId);
      await sendFile(async () => file, (await file.stat()).size, exchange).finally(() => file.close());
    },

    async deleteImage(id, { response }) {
      await options.refuseCapture(id);
      await deleteImage(upload, id);
      response.writeHead(204).end();
    },

    async deleteBackup(name, { response }) {
      await options.backups.remove(name);
      response.writeHead(204).end();
    },

    async manageable(pool, { response }) {
      answerJson(response, 200, await options.managed.list(pool));
    },

    async imageFile(id, { response }) {
      const { sizeBytes } = factsOf(images, id);
      answerJson(response, 200, { path: resolve(images.path(id)), sizeBytes } satisfies ImageFile);
    },

    async imageDigests(id, { response }) {
      const digests = options.laterDigests.find(id) ?? null;
      answerJson(response, 200, { sizeBytes: images.facts(id)!.sizeBytes, digests } satisfies ImageDigests);
    },

    async consoleLog(id: ServerId, { response, query }) {
      const asked = wholeNumber(query.get('bytes'), 'bytes') ?? options.maxConsoleBytes;
      const bytes = await readConsoleTail(
        serverPaths(options, id).consoleLog,
        Math.min(asked, options.maxConsoleBytes),
      );
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length });
      response.end(bytes);
    },

    health: async ({ response }) => answerJson(response, 200, options.health()),
    watts: wattsOf(new Rapl({ directory: options.powercap })),
    load: async ({ response }) => answerJson(response, 200, await machineLoad()),
    certify: (exchange) => certifyFor(exchange, options.certify),
  };
}

const wattsOf =
  (rapl: Rapl): ServiceRoutes['watts'] =>
  async ({ response }) =>
    answerJson(response, 200, { watts: await rapl.watts() } satisfies HostWatts);

async function putImage(id: ImageId, { request, response, query }: Exchange, upload: UploadContext): Promise<void> {
  const format = imageFormats.find((known) => known === query.get('format'));
  if (!format) throw new HostFault('invalid', `format must be one of ${imageFormats.join(', ')}`);
  const maxBytes = wholeNumber(query.get('maxBytes'), 'maxBytes') ?? Number.MAX_SAFE_INTEGER;
  const sizeBytes = wholeNumber(request.headers['content-length'] ?? null, 'content-length');
  const result = await receiveImage(request, { id, format, maxBytes, sizeBytes }, upload);
  answerJson(response, 201, result);
}

async function certifyFor({ request, response }: Exchange, certify: Certify | undefined): Promise<void> {
  if (!certify) throw new HostFault('not_found', 'the authority of the cloud is not beside this host');
  answerJson(response, 200, await certify(readRequest(await readBody(request, maxRequestBytes))));
}

function readRequest(bytes: Buffer): CertificateRequest {
  try {
    return read(certificateRequest, JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    if (!(error instanceof Mismatch) && !(error instanceof SyntaxError)) throw error;
    throw new HostFault('invalid', 'the body is no request for a certificate', { cause: error });
  }
}

function factsOf(images: ImageStore, id: ImageId): ImageFacts {
  const facts = images.facts(id);
  if (!facts) throw new HostFault('not_found', `image ${id} is not on this host`);
  return facts;
}

function wholeNumber(text: string | null, name: string): number | undefined {
  if (text === null) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new HostFault('invalid', `${name} must be a whole number`);
  return value;
}

async function sendFile(
  openIt: () => Promise<FileHandle>,
  size: number,
  { request, response }: Exchange,
): Promise<void> {
  const range = parseRange(request.headers.range, size);
  const headers = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };
  if (range) {
    const { first, last } = range;
    const contentRange = `bytes ${first}-${last}/${size}`;
    response.writeHead(206, { ...headers, 'content-length': last - first + 1, 'content-range': contentRange });
  } else response.writeHead(200, { ...headers, 'content-length': size });
  if (request.method === 'HEAD' || size === 0) {
    response.end();
    return;
  }
  await sendPiece(openIt, range ?? { first: 0, last: size - 1 }, response);
}

const chunkBytes = 512 * 1024;

/** One buffer for all: V8 counts new ones as its own growth and marks the whole heap for every 64 MiB that pass. */
async function sendPiece(
  openIt: () => Promise<FileHandle>,
  { first, last }: { first: number; last: number },
  response: ServerResponse,
): Promise<void> {
  const file = await openIt();
  try {
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, last - first + 1));
    for (let position = first; position <= last; ) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, last - position + 1), position);
      if (bytesRead === 0) throw new Error('the file is shorter than it was');
      position += bytesRead;
      if (!(await written(response, buffer.subarray(0, bytesRead)))) return;
    }
    response.end();
  } finally {
    await file.close();
  }
}

/** False where nobody listens any more: a response that was closed need not call back. */
function written(response: ServerResponse, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (taken: boolean) => {
      response.off('close', closed);
      resolve(taken);
    };
    const closed = () => settle(false);
    if (response.closed) return closed();
    response.once('close', closed);
    response.write(bytes, (error) => settle(!error));
  });
}
