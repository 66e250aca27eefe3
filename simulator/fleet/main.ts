/**
 * A fleet as a process: `node simulator/fleet/main.ts --configuration FILE`. Simulated machines with a real Host on each,
 * and a fake northbound database whose ports come up as the hosts plug them. Writes its pid to `ready` beside the
 * configuration when all hosts have started; ends at SIGTERM.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { FakeDatabase, FakeNorthd, FakeOvsdbServer, northbound } from '../ovsdb/index.ts';
import type { FleetConfiguration } from './configuration.ts';
import { SimulatedMachine } from './machine.ts';

const { configuration: file } = parseArgs({ options: { configuration: { type: 'string' } } }).values;
if (file === undefined) throw new Error('--configuration FILE is needed');
const configuration = JSON.parse(readFileSync(file, 'utf8')) as FleetConfiguration;
const log = pino({ name: 'fleet', level: configuration.logLevel });
const told = new Promise<void>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
});

const nb = new FakeDatabase(northbound);
const northd = new FakeNorthd(nb);
const server = new FakeOvsdbServer([nb]);
await server.listen({ path: configuration.northbound });
const { cloudId, controlUrl } = configuration;
const running = await Promise.all(
  configuration.hosts.map(async ({ id, name, tls }) => {
    const directory = join(configuration.directory, name);
    mkdirSync(directory, { recursive: true });
    const own = log.child({ host: name });
    const machine = new SimulatedMachine({
      ...{ hostId: id, name, cloudId, directory, controlUrls: [controlUrl], tls, log: own },
    });
    await machine.start();
    northd.follow(machine.switch.database);
    const host = machine.host();
    await host.start();
    return { machine, host };
  }),
);
writeFileSync(join(dirname(file), 'ready'), `${process.pid}\n`);
log.info({ hosts: running.length }, 'fleet serves');
await told;
await Promise.all(running.map(({ host }) => host.stop()));
await Promise.all(running.map(({ machine }) => machine.remove()));
northd.close();
await server.close();
