/** The connections of one QEMU's with others, over TCP on this machine: who listens at which address and port of theirs. Owns its sockets. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { StateRefusal } from './guest.ts';

/** Of another QEMU: an export of its disks, or its memory (''). */
export interface Remote {
  host: string;
  port: number;
  export: string;
  key: string;
}

/** Of all simulated machines: the ports of the real one are not theirs to take. */
const listening = new Map<string, Server>();

export class Wire {
  readonly #sockets = new Set<Socket>();

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Serves who has the key. */
  listen(host: string, port: number, key: string, serve: (name: string, socket: Socket) => void): Server {
    const place = `${host} ${port}`;
    if (listening.has(place)) throw new StateRefusal('Failed to find an available port: Address already in use');
    const server = createServer((socket) => {
      this.#hold(socket);
      socket.once('data', (line: Buffer) => {
        const [name, theirs] = JSON.parse(String(line)) as [string, string];
        if (theirs !== key) return void socket.destroy();
        serve(name, socket);
        socket.write('ok\n');
      });
    });
    listening.set(place, server);
    server.on('close', () => listening.get(place) === server && listening.delete(place));
    server.listen(0);
    return server;
  }

  dial({ host, port, export: name, key }: Remote): Socket {
    const server = listening.get(`${host} ${port}`)?.address() as AddressInfo | null | undefined;
    // Port 1 is nobody's: refused, as where nobody listens.
    const socket = connect({ host: '::1', port: server?.port ?? 1 });
    this.#hold(socket);
    socket.on('connect', () => socket.write(JSON.stringify([name, key])));
    return socket;
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
