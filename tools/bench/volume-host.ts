/**
 * One real host process beside a measured control: its own disks and QEMU, and a network in memory, which volumes do not need. Told by `fork`:
 * where control is and who this host is; says `ready`, and ends with its parent.
 */
import { join } from 'node:path';
import pino from 'pino';
import { Host, qemuMachine } from '../../host/index.ts';
import { MemoryNetwork } from '../../simulator/fleet/network.ts';
import type { SimulatedIdentity } from '../../test/support/simulated-parts.ts';

export interface VolumeHost {
  /** Holds `host.sock`, where control looks for it. */
  directory: string;
  controlUrl: string;
  host: SimulatedIdentity['hosts'][number];
}

async function run({ directory, controlUrl, host }: VolumeHost): Promise<void> {
  const directories = { dataDirectory: join(directory, 'host-data'), runDirectory: join(directory, 'host-run') };
  const real = new Host(
    {
      ...{ hostId: host.id, name: host.name, cloudId: null, bothyVersion: 'bench', controlUrls: [controlUrl] },
      ...{ ...directories, controlName: 'bothy-control', tls: host.tls, listen: { address: '127.0.0.1', port: 0 } },
      ...{ url: 'https://127.0.0.1:{port}', socket: { path: join(directory, 'host.sock') } },
      ...{ guests: undefined, accelerator: 'tcg', durable: true },
    },
    {
      ...(await qemuMachine({ ...directories, guests: undefined, accelerator: 'tcg' })),
      ...{ network: new MemoryNetwork(), log: pino({ level: 'warn' }, pino.destination(2)) },
    },
  );
  await real.start();
  process.send!('ready');
}

process.once('disconnect', () => process.exit());
process.once('message', (told: VolumeHost) => void run(told));
