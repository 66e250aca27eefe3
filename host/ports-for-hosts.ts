/** Where other hosts send to this one, servers' disks and memory and what is written to second copies: an address, and ports of which the first free one is taken. */
import { randomInt } from 'node:crypto';
import { QmpError } from '../protocols/qmp/index.ts';
import { HostFault } from './host-error.ts';

/** Where hosts reach this one for migrations. */
export interface MigrationPlace {
  address: string;
  ports: { first: number; last: number };
}

export const defaultPorts = { first: 49_152, last: 49_215 };

/** @returns the first of its ports, from one by chance on, that can be bound. @throws HostFault where none can */
export async function atSomePort(
  { address, ports }: MigrationPlace,
  bind: (port: number) => Promise<unknown>,
): Promise<number> {
  const count = ports.last - ports.first + 1;
  const from = randomInt(count);
  let last = '';
  for (let tried = 0; tried < count; tried++) {
    const port = ports.first + ((from + tried) % count);
    try {
      await bind(port);
      return port;
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      last = error.message;
      if (!/in use/i.test(last)) break;
    }
  }
  throw new HostFault(
    'migration_ports',
    `nothing can be received at ${address}, ports ${ports.first}-${ports.last}: ${last}`,
    {
      permanent: true,
    },
  );
}
