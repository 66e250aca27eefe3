/**
 * `npm run dev`: a simulated cloud with three hosts until Ctrl-C: real control, PostgreSQL and host processes; QEMU,
 * Open vSwitch and OVN are fakes on the wire, so it needs no root and starts in seconds.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startCloudProcesses } from '../test/support/cloud-processes.ts';

const started = performance.now();
const stop = new Promise<void>((resolve) => {
  process.once('SIGINT', resolve);
  process.once('SIGTERM', resolve);
});
await using cloud = await startCloudProcesses({ hosts: 3, logLevel: 'debug' });
const openrc = join(cloud.directory, 'openrc');
const lines = Object.entries(cloud.environment).map(([name, value]) => `export ${name}='${value}'`);
writeFileSync(openrc, `${lines.join('\n')}\n`, { mode: 0o600 });
console.log(`simulated cloud with three hosts, ready in ${((performance.now() - started) / 1000).toFixed(1)} s

  endpoint   ${cloud.publicUrl}
  client     source ${openrc} && openstack catalog list
  database   psql '${cloud.databaseUrl}'
  logs       tail -f ${join(cloud.directory, 'control.log')} ${join(cloud.directory, 'fleet.log')}

Ctrl-C ends it and removes everything.`);
await stop;
console.log('\nending …');
