/** The host process of object-host.ts: its disk and its service are real, guests and network are not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HostId, newId } from '../../contract/ids.ts';
import { SimulatedMachine } from '../../simulator/fleet/fleet-machine.ts';

interface Told {
  directory: string;
  hostId: HostId;
  tls: { key: string; cert: string; ca: string };
}

async function run({ directory, hostId, tls }: Told): Promise<void> {
  const files = { certificate: join(directory, 'crt'), key: join(directory, 'key'), ca: join(directory, 'ca') };
  writeFileSync(files.certificate, tls.cert);
  writeFileSync(files.key, tls.key);
  writeFileSync(files.ca, tls.ca);
  const machine = new SimulatedMachine({
    ...{ hostId, name: 'bench', cloudId: newId(), directory, controlUrls: ['wss://127.0.0.1:1'], tls: files },
  });
  await machine.start();
  const host = machine.host({ configuration: { durable: true, socket: { path: join(directory, 'host.sock') } } });
  await host.start();
  process.send!('ready');
}

process.once('disconnect', () => process.exit());
process.once('message', (told: Told) => void run(told));
