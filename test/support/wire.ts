/**
 * A socket in between: what connects to `path` talks to `target`, until the wire is cut. A process that does all its
 * work over wires of its own is dead to the world the moment they are cut, as by kill -9: nothing that it does later
 * reaches anyone, and its peers see their connections end.
 */
import { rmSync } from 'node:fs';
import net from 'node:net';

export class Wire {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #path: string | undefined;
  #cut = false;
  /** Nothing passes and nobody is told, as when a cable is pulled; what is sent meanwhile is lost. */
  silent = false;
  /** Held back before each piece is passed on, in either direction. */
  delayMs = 0;
  /** Called with each piece that the near side has sent, after it was passed on. */
  onSent: (() => void) | undefined;

  private constructor(target: net.NetConnectOpts, path: string | undefined) {
    this.#path = path;
    this.#server = net.createServer((near) => this.#join(near, net.connect(target)));
    this.#server.on('error', () => {});
  }

  static async open(path: string, target: net.NetConnectOpts): Promise<Wire> {
    const wire = new Wire(target, path);
    await new Promise<void>((resolve, reject) => {
      wire.#server.once('error', reject);
      wire.#server.listen(path, resolve);
    });
    return wire;
  }

  /** On a port of 127.0.0.1; 0: one that the system chooses. */
  static async openPort(target: net.NetConnectOpts, port = 0): Promise<{ wire: Wire; port: number }> {
    const wire = new Wire(target, undefined);
    await new Promise<void>((resolve, reject) => {
      wire.#server.once('error', reject);
      wire.#server.listen(port, '127.0.0.1', resolve);
    });
    return { wire, port: (wire.#server.address() as net.AddressInfo).port };
  }

  /** Ends every connection; new ones may come. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** For ever: nobody gets through again. */
  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    this.#server.close();
    if (this.#path !== undefined) rmSync(this.#path, { force: true });
    this.drop();
  }

  #join(near: net.Socket, far: net.Socket): void {
    if (this.#cut) {
      near.destroy();
      far.destroy();
      return;
    }
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay?.(true);
      from.on('data', (data) => {
        // As a cable: who sends waits for who reads.
        if (this.#pass(to, data) === false) from.pause();
        if (from === near) this.onSent?.();
      });
      to.on('drain', () => from.resume());
      from.on('end', () => this.silent || to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  /** False where the far side has more than it can take. */
  #pass(to: net.Socket, data: Buffer): boolean | undefined {
    if (this.#cut || this.silent) return undefined;
    if (this.delayMs === 0) return to.write(data);
    setTimeout(() => !this.#cut && to.write(data), this.delayMs);
    return undefined;
  }
}
