/**
 * The cloud that the suites ask: two machines, since part of Tempest wants a second host. They are network namespaces, made and removed here, which takes
 * root, `ip` and nothing of the machine's own network; the suites run in the first one's, where its external network is.
 */
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JoinedMachines } from '../support/joined-machines.ts';
import { environmentOf, type LiveCloud } from '../support/live-cloud.ts';

/** Of the cloud's pools: Tempest moves volumes between two. */
export const poolNames = ['first', 'second'];

export interface ConformanceCloud extends LiveCloud {
  /** What a command is begun by, so that it reaches floating IPs. */
  within: readonly string[];
  /** Of an image that is out in the web; absent: nobody serves one. */
  webImage?: string;
}

/** @param data of one that runs, which is left alone; its external network is reached from here */
export async function conformanceCloud(data: string | undefined): Promise<ConformanceCloud> {
  if (data !== undefined) {
    const [adminEnvironment, caFile] = [environmentOf(join(data, 'openrc')), join(data, 'ca.pem')];
    return { data, adminEnvironment, caFile, within: [], [Symbol.asyncDispose]: async () => {} };
  }
  const pools = mkdtempSync(join(tmpdir(), 'bothy-pools-'));
  // Guests pass through to their files.
  chmodSync(pools, 0o711);
  const machines = await JoinedMachines.start(2, async (n) => ({
    storage_pools: poolsBelow(join(pools, String(n))),
    ...(n === 0 && settings),
  }));
  const [first, second] = machines.machines;
  let web: Server | undefined;
  const remove = async () => {
    web?.close();
    await machines[Symbol.asyncDispose]();
    rmSync(pools, { recursive: true });
  };
  try {
    await machines.join(second!);
    web = await serveImage(machines);
  } catch (error) {
    await remove();
    throw error;
  }
  const within = ['nsenter', `--net=/run/netns/${first!.namespace}`];
  return { ...machines.cloud, within, webImage: `http://${webAddress}/image`, [Symbol.asyncDispose]: remove };
}

/** A public address, to which alone imports go; of those that answer for nobody (AS112, RFC 7535), so that no machine misses it meanwhile. */
const webAddress = '192.31.196.1';

async function serveImage(machines: JoinedMachines): Promise<Server> {
  machines.answerTo(webAddress);
  const server = createServer((_request, response) => response.end(Buffer.alloc(1024 * 1024, 'image')));
  await once(server.listen(80, webAddress), 'listening');
  return server;
}

const settings = {
  // What Tempest's tests of lock-out and password history are told of the cloud (tempest.ts).
  ...{ lockout_attempts: '2', lockout_seconds: '5', password_unique: '2' },
};

function poolsBelow(directory: string): string {
  mkdirSync(directory, { mode: 0o711 });
  for (const name of poolNames) mkdirSync(join(directory, name));
  return poolNames.map((name) => `${name}:disk:${join(directory, name)}`).join();
}
