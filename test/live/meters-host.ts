/** The network and the meters of a host, as a process that a test may kill: asked over IPC, it tells its meters there as it would tell control. */
import { join } from 'node:path';
import type { DesiredPort, HostMessage } from '../../contract/host/index.ts';
import type { PortId } from '../../contract/ids.ts';
import { silent } from '../../host/logger.ts';
import { Meters } from '../../host/meter/meters.ts';
import { HostNetwork, type HostNetworkOptions } from '../../host/network/index.ts';

export type Wish = { plug: DesiredPort } | { unplug: PortId } | { recorded: number };
export type Word = { ready: true } | { done: string } | { meters: HostMessage & { type: 'meters' } };

const { options, bootId } = JSON.parse(process.argv[2]!) as { options: HostNetworkOptions; bootId: string };
const say = (word: Word) => process.send!(word);
const network = new HostNetwork(options);
const meters = new Meters({
  ...{ dataDirectory: join(options.runDirectory, '..'), durable: false, bootId, network, log: silent },
  ...{ intervalMs: 250, send: (message) => void say({ meters: message }) },
});
await meters.open();
await network.start();
// Told of the timer alone, an idle process would end.
process.on('message', async (wish: Wish) => {
  if ('recorded' in wish) await meters.recorded(wish.recorded);
  else if ('plug' in wish) say({ done: (await network.ensurePort(wish.plug)).tap });
  else {
    await network.removePort(wish.unplug);
    say({ done: wish.unplug });
  }
});
meters.start();
say({ ready: true });
