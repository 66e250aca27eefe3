/**
 * Speaks OVSDB (RFC 7047 and monitor_cond) over unix and TCP sockets for databases in memory. Good enough for Bothy's
 * own client and for ovs-vsctl and ovn-nbctl. It keeps nothing on disk: when it goes, the databases are gone.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { MessageSplitter } from '../../protocols/ovsdb/framing.ts';
import { Refusal } from './atom.ts';
import type { FakeDatabase } from './database.ts';
import type { WireOperation } from './execute.ts';
import { Monitor } from './monitor.ts';

interface Call {
  id: unknown;
  method: string;
  params: unknown[];
}

export class FakeOvsdbServer {
  readonly #databases = new Map<string, FakeDatabase>();
  readonly #servers: Server[] = [];
  readonly #peers = new Set<Peer>();
  /** Set to be a server that hangs: it reads, and answers nothing. */
  silent = false;

  constructor(databases: readonly FakeDatabase[]) {
    for (const database of databases) this.#databases.set(database.schema.name, database);
  }

  /** Listens on a unix socket, or on a port of 127.0.0.1 that the system chooses. Answers the target for clients. */
  async listen(where: { path: string } | { port: 0 }): Promise<string> {
    const server = createServer((socket) => {
      const peer = new Peer(socket, this.#databases, () => this.silent);
      this.#peers.add(peer);
      socket.on('close', () => this.#peers.delete(peer));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen('path' in where ? { path: where.path } : { port: 0, host: '127.0.0.1' }, resolve);
    });
    this.#servers.push(server);
    const address = server.address();
    return typeof address === 'string' ? `unix:${address}` : `tcp:127.0.0.1:${address!.port}`;
  }

  get connections(): number {
    return this.#peers.size;
  }

  /** As when the network breaks: every client must come back and read all again. */
  dropConnections(): void {
    for (const peer of [...this.#peers]) peer.close();
  }

  /** Asks all clients whether they live; resolves to the count of those that answered. */
  async probe(timeoutMs: number): Promise<number> {
    const answers = await Promise.all([...this.#peers].map((peer) => peer.probe(timeoutMs)));
    return answers.filter(Boolean).length;
  }

  async close(): Promise<void> {
    this.dropConnections();
    for (const database of this.#databases.values()) database.close();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

class Peer {
  readonly #socket: Socket;
  readonly #databases: ReadonlyMap<string, FakeDatabase>;
  readonly #splitter = new MessageSplitter();
  readonly #monitors = new Map<string, () => void>();
  readonly #silent: () => boolean;
  readonly #probes = new Map<string, () => void>();

  constructor(socket: Socket, databases: ReadonlyMap<string, FakeDatabase>, silent: () => boolean) {
    this.#socket = socket;
    this.#databases = databases;
    this.#silent = silent;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', () => this.close());
    socket.on('close', () => this.close());
  }

  close(): void {
    for (const stop of this.#monitors.values()) stop();
    this.#monitors.clear();
    this.#socket.destroy();
  }

  probe(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const id = `probe${this.#probes.size}`;
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#probes.set(id, () => {
        clearTimeout(timer);
        resolve(true);
      });
      this.#send({ id, method: 'echo', params: [] });
    });
  }

  #send(message: unknown): void {
    if (!this.#silent()) this.#socket.write(JSON.stringify(message));
  }

  #receive(chunk: Buffer): void {
    try {
      for (const bytes of this.#splitter.push(chunk)) {
        const message = JSON.parse(bytes.toString('utf8')) as Call;
        if (typeof message.method === 'string') void this.#answer(message);
        else this.#probes.get(String(message.id))?.();
      }
    } catch {
      this.close();
    }
  }

  async #answer({ id, method, params }: Call): Promise<void> {
    try {
      const result = await this.#call(method, params);
      this.#send({ id, result, error: null });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const body = error.tag === 'unknown method' ? error.tag : { error: error.tag, details: error.message };
      this.#send({ id, result: null, error: body });
    }
  }

  #call(method: string, params: unknown[]): unknown {
    switch (method) {
      case 'echo':
        return params;
      case 'list_dbs':
        return [...this.#databases.keys()];
      case 'get_schema':
        return this.#database(params[0]).raw;
      case 'transact':
        return this.#database(params[0]).transact(params.slice(1) as WireOperation[]);
      case 'monitor_cond':
        return this.#monitor(this.#database(params[0]), params[1], params[2]);
      case 'monitor_cancel': {
        const key = JSON.stringify(params[0]);
        if (!this.#monitors.has(key)) throw new Refusal('unknown monitor', 'no such monitor');
        this.#monitors.get(key)!();
        this.#monitors.delete(key);
        return {};
      }
      case 'set_db_change_aware':
        return {};
      default:
        throw new Refusal('unknown method', method);
    }
  }

  #database(name: unknown): FakeDatabase {
    const database = this.#databases.get(String(name));
    if (!database) throw new Refusal('unknown database', `get_schema request specifies unknown database ${name}`);
    return database;
  }

  #monitor(database: FakeDatabase, id: unknown, requests: unknown): unknown {
    const key = JSON.stringify(id);
    if (this.#monitors.has(key)) throw new Refusal('duplicate monitor ID', key);
    const monitor = new Monitor(database, requests);
    const stop = database.onCommit((changes) => {
      const updates = monitor.updates(changes);
      if (updates) this.#send({ id: null, method: 'update2', params: [id, updates] });
    });
    this.#monitors.set(key, stop);
    return monitor.snapshot();
  }
}
