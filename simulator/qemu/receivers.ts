/**
 * Storage daemons of a simulated machine that take writes to second copies: they outlive its host processes, and end with the machine. What a mirror of
 * a simulated QEMU sends (moving.ts) comes into the copy's file.
 */
import type { Server } from 'node:net';
import type { ReceiverEngine, ReceiverProcess } from '../../host/volume/receive/receivers.ts';
import { StateRefusal } from './guest.ts';
import { takeWrites } from './take-writes.ts';
import { Wire } from './wire.ts';

interface Daemon {
  closed: Promise<void>;
  close(): void;
}

export class FakeReceivers {
  readonly #daemons = new Map<string, Daemon>();

  /** Of a host process. */
  readonly engine: ReceiverEngine = {
    launch: async ({ record, chain, key, place }) => {
      const wire = new Wire();
      const serve = (port: number): Server | undefined => {
        try {
          return wire.listen(place.address, port, `qemu:${key}\n`, (_name, socket) =>
            takeWrites(socket, () => chain.top.path),
          );
        } catch (error) {
          if (error instanceof StateRefusal) return undefined;
          throw error;
        }
      };
      for (let port = place.ports.first; port <= place.ports.last; port++) {
        const server = serve(port);
        if (!server) continue;
        this.#daemons.set(record.layerId, daemonOf(server, wire));
        return { process: this.#process(record.layerId), port };
      }
      throw new Error('no port is free');
    },
    reach: async ({ layerId }) => {
      if (!this.#daemons.has(layerId)) throw new Error('nobody answers');
      return this.#process(layerId);
    },
    end: async ({ layerId }) => this.kill(layerId),
  };

  /** As kill -9. */
  kill(layerId: string): void {
    this.#daemons.get(layerId)?.close();
    this.#daemons.delete(layerId);
  }

  get layerIds(): string[] {
    return [...this.#daemons.keys()];
  }

  powerCut(): void {
    for (const id of this.layerIds) this.kill(id);
  }

  #process(layerId: string): ReceiverProcess {
    return {
      closed: this.#daemons.get(layerId)!.closed,
      execute: async <T>(command: string) => {
        if (command === 'quit') this.kill(layerId);
        return {} as T;
      },
      release: () => {},
    };
  }
}

function daemonOf(server: Server, wire: Wire): Daemon {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const close = () => {
    server.close();
    wire.close();
    resolve();
  };
  return { closed, close };
}
