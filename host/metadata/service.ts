/**
 * The metadata service: HTTP on a unix socket that only HAProxy (and root) can reach; HAProxy says which network and
 * address a request came from. Answers from the host's desired state alone, so guests boot while control is away; until that has been
 * read, requests wait. Holds nothing that must outlive it: what dies with it, the proxy asks its successor.
 */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { guarded } from '../../contract/guarded.ts';
import type { DesiredServer } from '../../contract/host/index.ts';
import { http } from '../../contract/node-http.ts';
import { userIds } from '../../engine/process.ts';
import { askedHeader, prepareDirectory } from '../network/metadata-proxy.ts';
import { type Answer, answer, asksServices } from './answer.ts';
import type { VendorData } from './document.ts';
import { MetadataLookup } from './lookup.ts';
import { type GuestPasswords, isPasswordPath, takePassword } from './password.ts';
import type { VendorServices } from './vendor-services.ts';

/** cloud-init gives up after ten seconds, and does not ask again. */
const guestWaitsMs = 9000;
/** Whatever is left, no guest waits longer for somebody else's word. */
const servicesMs = 5000;

export interface MetadataServiceOptions {
  socket: string;
  /** User of HAProxy's worker: its group may connect. */
  proxyUser: string;
  /** What every guest is told beside what is its own; absent: nothing. */
  vendorData?: VendorData;
  /** And what services say of each. */
  vendorServices?: Pick<VendorServices, 'of'>;
  /** Where what guests post as their passwords is kept. Absent: they can post none. */
  passwords?: GuestPasswords;
}

export class MetadataService {
  readonly #options: MetadataServiceOptions;
  #lookup = new MetadataLookup([]);
  /** Requests from before it is known which servers there are; undefined from then on. The proxy bounds how many. */
  #early: (() => void)[] | undefined = [];
  #server: Server | undefined;

  constructor(options: MetadataServiceOptions) {
    this.#options = options;
  }

  /** All servers that this host shall have; replaces what was known. */
  update(servers: Iterable<DesiredServer>): void {
    this.#lookup = new MetadataLookup(servers);
    const early = this.#early;
    this.#early = undefined;
    for (const serve of early ?? []) serve();
  }

  async start(): Promise<void> {
    const { socket, proxyUser } = this.#options;
    const { gid } = userIds(proxyUser);
    prepareDirectory(dirname(socket), gid);
    rmSync(socket, { force: true });
    // A guest's request, whatever it makes of one server's document, costs the guest its answer and nobody else anything.
    const serve = guarded(
      (request: IncomingMessage, response: ServerResponse) => this.#serve(request, response),
      (_error, _request, response) => response.destroy(),
    );
    // To cloud-init a 404 is as final as any answer: nobody is told that a server does not exist before all are known.
    const server = http.createServer({ requestTimeout: 10_000, maxHeaderSize: 8192 }, (request, response) => {
      if (this.#early) this.#early.push(() => serve(request, response));
      else serve(request, response);
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
    server.removeAllListeners('error').on('error', () => {}); // one connection less
    chownSync(socket, 0, gid);
    chmodSync(socket, 0o660);
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, body } = await this.#reply(request);
    request.resume(); // of a body that had no meaning
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #reply(request: IncomingMessage): Promise<Answer & { status: number }> {
    const { method, headers, url } = request;
    const refuse = (status: number, body: string) => ({ status, type: 'text/plain', body });
    const network = headers['x-bothy-network'];
    const source = headers['x-forwarded-for'];
    if (typeof network !== 'string' || typeof source !== 'string') return refuse(400, 'not through the proxy\n');
    const server = this.#lookup.find(network, source);
    // Nothing in a path is decoded: what must be encoded names nothing here.
    const { vendorData = {} } = this.#options;
    const path = (url ?? '/').split('?')[0]!;
    const { passwords } = this.#options;
    const posting = method === 'POST' && isPasswordPath(path);
    if (method !== 'GET' && method !== 'HEAD' && !posting) return refuse(405, 'only GET\n');
    if (server && passwords && isPasswordPath(path)) {
      if (posting) return { type: 'text/plain', ...(await takePassword(passwords, server.id, request)) };
      const password = await passwords.read(server.id);
      return password === undefined ? refuse(404, 'Not Found\n') : { status: 200, type: 'text/plain', body: password };
    }
    const services = server && asksServices(path) ? await this.#servicesOf(server, headers) : {};
    const found = server && answer(server, path, { vendorData, services });
    return found ? { status: 200, ...found } : refuse(404, 'Not Found\n');
  }

  /** Within what is left of the time that the guest waits: the proxy may have kept the request for a while already. */
  async #servicesOf(server: DesiredServer, headers: IncomingHttpHeaders): Promise<VendorData> {
    const { vendorServices } = this.#options;
    if (!vendorServices) return {};
    // HAProxy's clock is this machine's, and it has no other: set meanwhile, it costs one guest what services say.
    const waitedMs = Date.now() - Number(headers[askedHeader] ?? Number.NaN);
    const leftMs = waitedMs > 0 ? guestWaitsMs - waitedMs : guestWaitsMs;
    return vendorServices.of(server, Math.min(leftMs, servicesMs));
  }
}
