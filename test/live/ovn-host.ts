/**
 * What the host process does for a lab's Open vSwitch and ovn-controller, in a process of its own: what the tests run inside makes theirs stand still, for seconds.
 * It empties the megaflows when flows have changed, and has ports that are taken judged anew. Ends with its standard input. Usage: ovn-host.ts DIRECTORY, where they run.
 */
import { join } from 'node:path';
import { Megaflows } from '../../host/network/megaflows.ts';
import { TakenPorts } from '../../host/network/taken-ports.ts';
import { OvsdbClient } from '../../protocols/ovsdb/index.ts';

const ovsDirectory = process.argv[2]!;
new Megaflows({ socket: join(ovsDirectory, 'vswitchd.ctl') }).start();
const taken = new TakenPorts({ ovsDirectory, log: { info() {}, warn() {} } });
const client = new OvsdbClient({
  target: `unix:${join(ovsDirectory, 'db.sock')}`,
  database: 'Open_vSwitch',
  monitor: { Interface: ['name', 'external_ids'] },
});
client.replica.listen({ complete: () => taken.start(), changed: (changes) => taken.changed(changes) });
client.start();
process.stdin.on('end', () => process.exit(0)).resume();
