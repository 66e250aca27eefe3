/**
 * One QEMU's QMP socket: the greeting, the negotiation and the commands that Bothy uses, as QEMU 7.2 speaks them. One
 * client at a time, as with QEMU: the next one hears nothing until the one before has gone. Owns the listening socket.
 */
import { renameSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { StateRefusal } from './guest.ts';
import { type CommandContext, commands, qemuPackage, qemuVersion, takes } from './qmp-commands.ts';

/** A unix socket of QEMU's: in the place of what was there; gone after a clean end, dead in its place after another. */
export class ListeningSocket {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(path: string, connected: (socket: Socket) => void) {
    this.path = path;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      connected(socket);
    });
  }

  async open(): Promise<void> {
    rmSync(this.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.path, () => resolve());
    });
  }

  /** `clean`: what was written still arrives, and the path goes. */
  close(options: { clean: boolean }): void {
    for (const socket of this.#sockets) {
      if (options.clean) socket.end();
      else socket.destroy();
    }
    if (!this.#server.listening) return;
    if (options.clean) {
      this.#server.close();
      return;
    }
    // Closing removes the path; a process that is killed leaves it.
    const aside = `${this.path}~`;
    try {
      renameSync(this.path, aside);
      this.#server.close();
      renameSync(aside, this.path);
    } catch {
      this.#server.close(); // somebody removed the path or its directory
    }
  }
}

export interface QmpServerOptions {
  path: string;
  /** Of this QEMU, whoever is connected. */
  context: Omit<CommandContext, 'afterAnswer'>;
  /** True: a QEMU that hangs; it reads and says nothing. */
  silent(): boolean;
  /** True: it does nothing but what passes by (out of band); goOn() when it is over. */
  busy(): boolean;
  /** Gets the name of each command that is carried out. */
  executed: string[];
}

export class QmpServer {
  readonly #options: QmpServerOptions;
  readonly #listening: ListeningSocket;
  readonly #waiting: Socket[] = [];
  #peer: Peer | undefined;

  constructor(options: QmpServerOptions) {
    this.#options = options;
    this.#listening = new ListeningSocket(options.path, (socket) => {
      this.#waiting.push(socket);
      socket.on('close', () => this.#gone(socket));
      this.#next();
    });
  }

  open(): Promise<void> {
    return this.#listening.open();
  }

  event(name: string, data?: Record<string, unknown>): void {
    const now = Date.now() * 1000 + Math.floor((performance.now() * 1000) % 1000);
    const timestamp = { seconds: Math.floor(now / 1_000_000), microseconds: now % 1_000_000 };
    this.#peer?.event({ timestamp, event: name, ...(data && { data }) });
  }

  close(options: { clean: boolean }): void {
    this.#listening.close(options);
  }

  /** What has waited is done. */
  goOn(): void {
    this.#peer?.goOn();
  }

  #next(): void {
    if (this.#peer) return;
    const socket = this.#waiting.shift();
    if (socket) this.#peer = new Peer(socket, this.#options);
  }

  #gone(socket: Socket): void {
    const index = this.#waiting.indexOf(socket);
    if (index >= 0) this.#waiting.splice(index, 1);
    if (this.#peer?.socket !== socket) return;
    this.#peer = undefined;
    this.#next();
  }
}

const commandNotFound = 'CommandNotFound';
const genericError = 'GenericError';
/** What passes by what QEMU does: `allow-oob` in its schema. */
const passing: ReadonlySet<string> = new Set(['yank', 'query-yank']);

class Refused extends Error {
  readonly errorClass: string;
  constructor(errorClass: string, description: string) {
    super(description);
    this.errorClass = errorClass;
  }
}

class Peer {
  readonly socket: Socket;
  readonly #options: QmpServerOptions;
  #text = '';
  #negotiated = false;
  #outOfBand = false;
  readonly #waiting: string[] = [];

  constructor(socket: Socket, options: QmpServerOptions) {
    this.socket = socket;
    this.#options = options;
    this.#send({ QMP: { version: { qemu: qemuVersion, package: qemuPackage }, capabilities: ['oob'] } });
    socket.setEncoding('utf8').on('data', (text: unknown) => this.#receive(String(text)));
  }

  /** QEMU sends events only after the negotiation. */
  event(message: object): void {
    if (this.#negotiated) this.#send(message);
  }

  #send(message: object): void {
    if (!this.#options.silent() && this.socket.writable) this.socket.write(`${JSON.stringify(message)}\r\n`);
  }

  #receive(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop()!;
    for (const line of lines) {
      if (line.trim() === '' || this.#options.silent()) continue;
      if (this.#options.busy() && !(this.#outOfBand && line.includes('"exec-oob"'))) this.#waiting.push(line);
      else this.#answer(line);
    }
  }

  goOn(): void {
    while (this.#waiting.length > 0 && !this.#options.busy()) this.#answer(this.#waiting.shift()!);
  }

  #answer(line: string): void {
    let id: unknown;
    const later: (() => void)[] = [];
    try {
      const given = parseObject(line);
      id = given.id;
      const value = this.#run(parseRequest(given, this.#outOfBand), (work) => later.push(work));
      this.#send({ return: value, ...(id !== undefined && { id }) });
    } catch (error) {
      if (!(error instanceof Refused || error instanceof StateRefusal)) throw error;
      this.#send({ ...(id !== undefined && { id }), error: { class: error.errorClass, desc: error.message } });
    }
    for (const work of later) work();
  }

  #run({ execute, passes, args }: Request, afterAnswer: (work: () => void) => void): unknown {
    if (execute === 'qmp_capabilities') {
      if (this.#negotiated) {
        throw new Refused(commandNotFound, 'Capabilities negotiation is already complete, command ignored');
      }
      checkArguments(args, ['enable']);
      this.#outOfBand = ((args.enable ?? []) as string[]).includes('oob');
      this.#negotiated = true;
      return {};
    }
    if (!this.#negotiated) {
      throw new Refused(commandNotFound, "Expecting capabilities negotiation with 'qmp_capabilities'");
    }
    const command = Object.hasOwn(commands, execute) ? commands[execute] : undefined;
    if (!command) throw new Refused(commandNotFound, `The command ${execute} has not been found`);
    if (passes && !passing.has(execute)) throw new Refused(genericError, `The command ${execute} does not support OOB`);
    checkArguments(args, takes[execute] ?? []);
    this.#options.executed.push(execute);
    return command(Object.assign(this.#options.context, { afterAnswer }), args);
  }
}

interface Request {
  execute: string;
  /** Out of band. */
  passes: boolean;
  args: Record<string, unknown>;
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    const word = /^\s*([A-Za-z_]+)/.exec(line)?.[1];
    const reason = word ? `invalid keyword '${word}'` : 'expecting value';
    throw new Refused(genericError, `JSON parse error, ${reason}`);
  }
  if (!isObject(value)) throw new Refused(genericError, 'QMP input must be a JSON object');
  return value;
}

function parseRequest(given: Record<string, unknown>, outOfBand: boolean): Request {
  const { execute: inTurn, arguments: args = {}, id: _id, ...others } = given;
  const passes = outOfBand && 'exec-oob' in others;
  const execute = passes ? others['exec-oob'] : inTurn;
  if (passes) delete others['exec-oob'];
  for (const key of Object.keys(others)) throw new Refused(genericError, `QMP input member '${key}' is unexpected`);
  if (execute === undefined) throw new Refused(genericError, "QMP input lacks member 'execute'");
  if (typeof execute !== 'string') throw new Refused(genericError, "QMP input member 'execute' must be a string");
  if (!isObject(args)) throw new Refused(genericError, "QMP input member 'arguments' must be an object");
  return { execute, passes, args };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkArguments(args: Record<string, unknown>, known: readonly string[]): void {
  for (const key of Object.keys(args)) {
    if (!known.includes(key)) throw new Refused(genericError, `Parameter '${key}' is unexpected`);
  }
}
