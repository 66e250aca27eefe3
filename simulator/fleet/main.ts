/**
 * A fleet as a process: `node simulator/fleet/main.ts --configuration FILE`. Simulated machines with a real Host on each,
 * and a fake northbound database whose ports come up as the hosts plug them. Writes its pid to `ready` beside the
 * configuration when all hosts have started; ends at SIGTERM, and with it every guest.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { FakeDatabase, FakeNorthd, FakeOvsdbServer, northbound } from '../ovsdb/index.ts';
import type { FleetConfiguration } from './configuration.ts';
import { Fleet } from './fleet.ts';

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
const { controlUrl, ...rest } = configuration;
const fleet = await Fleet.start({
  ...rest,
  controlUrls: [controlUrl],
  northd,
  logOf: ({ name }) => log.child({ host: name }),
});
const ready = join(dirname(file), 'ready');
// Whole or not there: whoever waits for it reads it at once.
writeFileSync(`${ready}.new`, `${process.pid}\n`);
renameSync(`${ready}.new`, ready);
log.info({ hosts: fleet.hosts.length }, 'fleet serves');
await told;
rmSync(ready, { force: true });
await fleet.close();
northd.close();
await server.close();
