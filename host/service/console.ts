/**
 * A guest's consoles, handed to whoever control asks for: bytes between that connection and the socket that QEMU has for the console.
 * Knows who looks at which, nothing else; when the process dies connections end, and QEMU waits for the next.
 */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConsoleKind, consoleProtocol } from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';

/**
 * What may wait for a reader of a serial console. A guest that writes to a serial port nobody empties stands still, so a reader that
 * is slower than that is let go. A screen has no such end: QEMU leaves out what a slow viewer has no time for.
 */
const maxWaitingBytes = 1024 * 1024;

/**
 * Who may look at a console at once. Whoever comes later is let in, and the first has to go: one that has vanished keeps nobody out, and
 * one server's viewers do not take the places of all others' (api/console). QEMU serves one at a serial port, and any number at a screen.
 */
const maxViewers: Readonly<Record<ConsoleKind, number>> = { serial: 1, vnc: 16 };

export class Consoles {
  /** In the order in which they came. */
  readonly #viewers = new Map<string, Set<Duplex>>();

  /** @param path QEMU's socket @throws HostFault `conflict` where nobody listens there */
  async open(id: ServerId, kind: ConsoleKind, path: string, caller: Duplex, head: Buffer): Promise<void> {
    const viewers = this.#viewers.get(`${kind} ${id}`);
    // QEMU takes no other before this one is gone.
    if (kind === 'serial') for (const viewer of viewers ?? []) viewer.destroy();
    const console = await connected(path);
    if (caller.destroyed) {
      console.destroy();
      return;
    }
    this.#take(id, kind, caller);
    caller.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${consoleProtocol}\r\n\r\n`);
    if (head.length > 0) console.write(head);
    relay(caller, console, kind === 'serial' ? maxWaitingBytes : undefined);
  }

  #take(id: ServerId, kind: ConsoleKind, caller: Duplex): void {
    const key = `${kind} ${id}`;
    const viewers = this.#viewers.get(key) ?? new Set();
    this.#viewers.set(key, viewers.add(caller));
    caller.once('close', () => {
      viewers.delete(caller);
      if (viewers.size === 0 && this.#viewers.get(key) === viewers) this.#viewers.delete(key);
    });
    for (const first of viewers) {
      if (viewers.size <= maxViewers[kind]) break;
      viewers.delete(first);
      first.destroy();
    }
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const failed = (cause: Error) =>
      reject(new HostFault('conflict', 'the guest has no such console; it gets one when it starts anew', { cause }));
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

/** Bytes both ways; when one side ends, the other does. @param maxWaiting absent: who sends waits for who reads */
function relay(caller: Duplex, console: Socket, maxWaiting: number | undefined): void {
  for (const [one, other] of [
    [caller, console],
    [console, caller],
  ] as const) {
    one.on('error', () => one.destroy());
    one.once('end', () => other.end());
    one.once('close', () => other.destroy());
  }
  caller.pipe(console);
  if (maxWaiting === undefined) console.pipe(caller);
  else {
    console.on('data', (bytes) => {
      caller.write(bytes);
      if (caller.writableLength > maxWaiting) caller.destroy();
    });
  }
}
