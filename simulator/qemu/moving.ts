/**
 * One QEMU and another: disks that it serves (NBD) and mirrors, a memory that it takes in and sends, each over a TCP connection of our own form, which
 * begins with a line that names the export, or none, and the key. What passes is a file's whole content, again whenever it may have changed, so that the
 * target's file is the source's in the end, as there. Owns its sockets.
 */
import { readFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import type { BlockGraph } from './block-graph.ts';
import type { MachineDescription } from './command-line.ts';
import { type SimulatedGuest, StateRefusal } from './guest.ts';
import { memoryText, readMemory } from './migration.ts';
import { takeWrites } from './take-writes.ts';
import { type Remote, Wire } from './wire.ts';

type Arguments = Readonly<Record<string, unknown>>;

export interface MovingOptions {
  description: MachineDescription;
  guest: SimulatedGuest;
  blocks: BlockGraph;
  event(name: string, data: Record<string, unknown>): void;
  /** QEMU ends, with these words. */
  fail(words: string): void;
  /** Whether its disks' targets take nothing more when the guest stops for the hand-over. */
  drains(): boolean;
  /** It waits for them no more. */
  drained(): void;
}

interface Mirror {
  /** `standby`: it was ready, and stands still since it could not write. */
  status: 'running' | 'ready' | 'paused' | 'standby' | 'concluded';
  error?: string;
  disk: string;
  target: string;
  socket: Socket;
}

type Sent = {
  status: 'active' | 'pre-switchover' | 'device' | 'completed' | 'failed' | 'cancelled';
  error?: string;
  ran: boolean;
  socket: Socket;
  to: { host: string; port: number };
};

const ended: ReadonlySet<Sent['status']> = new Set(['completed', 'failed', 'cancelled']);

const refuse = (words: string): never => {
  throw new StateRefusal(words);
};

const noInstance = (): never => {
  throw new StateRefusal('Instance not found', 'DeviceNotFound');
};

export class Moving {
  readonly #options: MovingOptions;
  readonly #keys = new Map<string, string>();
  readonly #remotes = new Map<string, Remote>();
  readonly #mirrors = new Map<string, Mirror>();
  readonly #exports = new Map<string, string>();
  readonly #wire = new Wire();
  #parameters: Record<string, unknown> = {};
  #capabilities = new Set<string>();
  #disks: Server | undefined;
  #memory: Server | undefined;
  #sent: Sent | undefined;
  #draining = false;

  constructor(options: MovingOptions) {
    this.#options = options;
  }

  /** It waits for the targets of its disks, and does nothing else. */
  get draining(): boolean {
    return this.#draining;
  }

  close(): void {
    this.#disks?.close();
    this.#memory?.close();
    this.#wire.close();
  }

  // --- keys and parameters -----------------------------------------------------------------------------------------------

  addKey({ id, dir }: Arguments): object {
    if (this.#keys.has(String(id))) refuse(`attempt to add duplicate property '${id}' to object (type 'container')`);
    this.#keys.set(String(id), readFileSync(join(String(dir), 'keys.psk'), 'utf8'));
    return {};
  }

  removeKey({ id }: Arguments): object {
    if (!this.#keys.delete(String(id))) refuse(`object '${id}' not found`);
    return {};
  }

  set(parameters: Arguments): object {
    this.#parameters = { ...this.#parameters, ...parameters };
    return {};
  }

  enable({ capabilities }: Arguments): object {
    for (const { capability, state } of capabilities as { capability: string; state: boolean }[]) {
      if (state) this.#capabilities.add(capability);
      else this.#capabilities.delete(capability);
    }
    return {};
  }

  #key(id: unknown): string {
    return this.#keys.get(String(id)) ?? refuse(`No TLS credentials with id '${id}'`);
  }

  // --- the target --------------------------------------------------------------------------------------------------------

  serveDisks({ addr, 'tls-creds': creds }: Arguments): object {
    if (this.#disks) refuse('NBD server already running');
    const { data } = addr as { data: { host: string; port: string } };
    const key = this.#key(creds);
    this.#disks = this.#wire.listen(data.host, Number(data.port), key, (name, socket) => this.#serve(name, socket));
    return {};
  }

  #serve(name: string, socket: Socket): void {
    const node = this.#exports.get(name);
    if (node === undefined) return void socket.destroy();
    takeWrites(socket, () => this.#options.blocks.fileOf(node));
  }

  stopDisks(): object {
    if (!this.#disks) refuse('NBD server not running');
    this.#disks!.close();
    this.#disks = undefined;
    this.#exports.clear();
    this.#wire.close();
    return {};
  }

  export({ name, 'node-name': node }: Arguments): object {
    this.#options.blocks.fileOf(String(node));
    this.#exports.set(String(name), String(node));
    return {};
  }

  takeMemory({ uri }: Arguments): object {
    if (this.#options.guest.state !== 'inmigrate') refuse("'-incoming' was not specified on the command line");
    if (this.#memory) refuse('The incoming migration has already been started');
    const { host, port } = addressOf(String(uri));
    this.#memory = this.#wire.listen(host, port, this.#key(this.#parameters['tls-creds']), (_, socket) =>
      this.#take(socket),
    );
    return {};
  }

  #take(socket: Socket): void {
    let text = '';
    socket.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    socket.on('close', () => {
      if (this.#options.guest.state !== 'inmigrate') return;
      try {
        this.#options.guest.load(readMemory(text, this.#options.description));
        this.#options.event('MIGRATION', { status: 'completed' });
      } catch (error) {
        this.#options.fail((error as Error).message);
      }
    });
  }

  // --- the source's disks ------------------------------------------------------------------------------------------------

  addRemote(args: Arguments): object {
    const { host, port } = args.server as { host: string; port: string };
    const key = this.#key(args['tls-creds']);
    this.#remotes.set(String(args['node-name']), { host, port: Number(port), export: String(args.export), key });
    return {};
  }

  removeRemote({ 'node-name': name }: Arguments): boolean {
    return this.#remotes.delete(String(name));
  }

  remotes(): string[] {
    return [...this.#remotes.keys()];
  }

  mirror({ 'job-id': id, device, target }: Arguments): object {
    const { blocks, event } = this.#options;
    const remote = this.#remotes.get(String(target)) ?? refuse(`Cannot find device='' nor node-name='${target}'`);
    blocks.fileOf(String(device));
    const socket = this.#wire.dial(remote);
    const mirror: Mirror = { status: 'running', disk: String(device), target: String(target), socket };
    this.#mirrors.set(String(id), mirror);
    let answers = 0;
    socket.on('data', () => {
      answers++;
      if (answers === 1) this.#copy(mirror);
      else if (mirror.status === 'running') {
        mirror.status = 'ready';
        event('BLOCK_JOB_READY', { device: id, type: 'mirror', speed: 0, len: 0, offset: 0 });
      }
    });
    socket.on('close', () => this.#stand(String(id), mirror));
    return {};
  }

  #copy({ disk, socket }: Mirror): void {
    const content = readFileSync(this.#options.blocks.fileOf(disk));
    // A header says how large a disk is, and what it builds on: that is the target's own.
    const from = disk === 'disk' || disk.startsWith('l-') ? Math.min(65_536, content.length) : 0;
    socket.write(`${JSON.stringify([from, content.subarray(from).toString('base64')])}\n`);
  }

  endMirror({ device, force }: Arguments): object {
    const mirror = this.#mirrors.get(String(device)) ?? refuse(`Block job '${device}' not found`);
    if (mirror.status === 'concluded')
      refuse(`Job '${device}' in state 'concluded' cannot accept command verb 'cancel'`);
    if (force || mirror.status !== 'ready') this.#conclude(String(device), mirror, 'Operation canceled');
    else {
      mirror.socket.once('data', () => this.#conclude(String(device), mirror));
      this.#copy(mirror);
    }
    return {};
  }

  /** On an error it stops. */
  #stand(id: string, mirror: Mirror): void {
    if (mirror.status !== 'running' && mirror.status !== 'ready') return;
    mirror.status = mirror.status === 'ready' ? 'standby' : 'paused';
    mirror.socket.destroy();
    this.#options.event('BLOCK_JOB_ERROR', { device: id, operation: 'write', action: 'stop' });
  }

  #conclude(id: string, mirror: Mirror, error?: string): void {
    if (mirror.status === 'concluded') return;
    mirror.status = 'concluded';
    if (error !== undefined) mirror.error = error;
    mirror.socket.destroy();
    this.#options.event('BLOCK_JOB_COMPLETED', { device: id, type: 'mirror', ...(error !== undefined && { error }) });
  }

  yankable(): object[] {
    const { sockets } = this.#options.description;
    const sent = this.#sent && !ended.has(this.#sent.status);
    return [
      ...sockets.map(({ id }) => ({ type: 'chardev', id })),
      ...[...this.#remotes.keys()].map((name) => ({ type: 'block-node', 'node-name': name })),
      ...(sent ? [{ type: 'migration' }] : []),
    ];
  }

  /** What is sent to these nodes of another one, or of the memory, gets there no more. */
  yank({ instances }: Arguments): object {
    for (const { type, 'node-name': name = '' } of instances as { type: string; 'node-name'?: string }[]) {
      if (type === 'migration') {
        if (!this.#sent || ended.has(this.#sent.status)) noInstance();
        this.#breakMemory();
      } else if (type === 'block-node' && this.#remotes.has(name)) this.#breakDisk(name);
      else noInstance();
    }
    return {};
  }

  /** The kernel does the same. */
  reset({ address, ports }: { address: string; ports: number[] }): void {
    for (const [name, { host, port }] of this.#remotes)
      if (host === address && ports.includes(port)) this.#breakDisk(name);
    if (this.#sent?.to.host === address && ports.includes(this.#sent.to.port)) this.#breakMemory();
  }

  #breakDisk(name: string): void {
    for (const [id, mirror] of this.#mirrors) if (mirror.target === name) this.#stand(id, mirror);
    if (!this.#draining || [...this.#mirrors.values()].some(({ status }) => status === 'ready')) return;
    this.#draining = false;
    // What it waited for has failed, and so the guest's stop has.
    this.#breakMemory();
    this.#options.drained();
  }

  /** One that waits for its `migrate-continue` sends nothing just then, and hears of it with the next word. */
  #breakMemory(): void {
    const sent = this.#sent;
    if (!sent || this.#draining || sent.status === 'pre-switchover') return;
    this.#endMemory(sent, 'failed', 'Unable to write to socket: Broken pipe');
    sent.socket.destroy();
  }

  dismiss({ id }: Arguments): object {
    const mirror = this.#mirrors.get(String(id)) ?? refuse('Job not found');
    if (mirror.status !== 'concluded')
      refuse(`Job '${id}' in state '${mirror.status}' cannot accept command verb 'dismiss'`);
    this.#mirrors.delete(String(id));
    return {};
  }

  jobs(): object[] {
    return [...this.#mirrors].map(([device, { status, error }]) => ({
      ...{ device, type: 'mirror', status, offset: status === 'running' ? 0 : 4096, len: 4096 },
      'io-status': status === 'paused' || status === 'standby' ? 'failed' : 'ok',
      ...(error !== undefined && { error }),
    }));
  }

  // --- the source's memory -----------------------------------------------------------------------------------------------

  migrate(uri: string): object {
    const { guest, event } = this.#options;
    if (guest.state === 'postmigrate') refuse("Can't migrate the vm that was paused due to previous migration");
    const key = this.#key(this.#parameters['tls-creds']);
    const to = addressOf(uri);
    const socket = this.#wire.dial({ ...to, export: '', key });
    const sent: Sent = { status: 'active', ran: false, socket, to };
    this.#sent = sent;
    socket.once('data', () => {
      if (sent.status !== 'active') return;
      sent.ran = guest.finishMigrate();
      this.#draining = this.#options.drains();
      if (this.#draining) return undefined;
      if (!this.#capabilities.has('pause-before-switchover')) return this.continueMemory();
      sent.status = 'pre-switchover';
      event('MIGRATION', { status: 'pre-switchover' });
      return undefined;
    });
    socket.on('close', () => this.#endMemory(sent, 'failed', 'Unable to write to socket: Broken pipe'));
    return {};
  }

  continueMemory(): void {
    const sent = this.#sent;
    if (!sent) return;
    const { guest, description } = this.#options;
    sent.status = 'device';
    sent.socket.end(memoryText(guest, description), () => {
      if (sent.status !== 'device') return;
      guest.saved();
      this.#endMemory(sent, 'completed');
    });
  }

  switchOver(): object {
    if (this.#sent?.status !== 'pre-switchover') refuse('Migration not in expected state');
    this.continueMemory();
    return {};
  }

  cancelMemory(): void {
    if (!this.#sent) return;
    const { socket } = this.#sent;
    this.#endMemory(this.#sent, 'cancelled');
    socket.destroy();
  }

  #endMemory(sent: Sent, status: 'completed' | 'failed' | 'cancelled', error?: string): void {
    if (ended.has(sent.status)) return;
    sent.status = status;
    if (error !== undefined) sent.error = error;
    if (status !== 'completed' && sent.ran) this.#options.guest.resume();
    this.#options.event('MIGRATION', { status });
  }

  forgetMemory(): void {
    this.#sent = undefined;
  }

  sent(): object | undefined {
    if (!this.#sent) return undefined;
    const { status, error } = this.#sent;
    const ram = { total: 4096, remaining: 0, transferred: 4096, mbps: 1, 'dirty-pages-rate': 0, 'page-size': 4096 };
    return {
      status,
      ...(error !== undefined && { 'error-desc': error }),
      ...(status === 'completed' && { downtime: 1 }),
      ram,
    };
  }
}

function addressOf(uri: string): { host: string; port: number } {
  const [, host, port] = /^tcp:\[?(.+?)\]?:(\d+)$/.exec(uri) ?? [];
  if (host === undefined) throw new StateRefusal(`Parameter 'uri' expects a valid migration protocol`);
  return { host, port: Number(port) };
}
