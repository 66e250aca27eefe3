/** A host process of its own, to be killed: its object disks and its service are real, guests and network are not. Forked by object-host.ts. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SimulatedMachine } from '../../simulator/fleet/fleet-machine.ts';
import type { ObjectHostTold } from './object-host.ts';

async function run({ directory, hostId, cloudId, tls, disks }: ObjectHostTold): Promise<void> {
  const files = { certificate: join(directory, 'crt'), key: join(directory, 'key'), ca: join(directory, 'ca') };
  writeFileSync(files.certificate, tls.cert);
  writeFileSync(files.key, tls.key);
  writeFileSync(files.ca, tls.ca);
  const machine = new SimulatedMachine({
    ...{ hostId, name: 'objects', cloudId, directory, controlUrls: ['wss://127.0.0.1:1'], tls: files },
  });
  await machine.start();
  const host = machine.host({
    configuration: { durable: true, socket: { path: join(directory, 'host.sock') }, objects: disks ? { disks } : {} },
  });
  await host.start();
  process.send!({ url: host.facts().url });
}

process.once('disconnect', () => process.exit());
process.once('message', (told: ObjectHostTold) => void run(told));
