/**
 * The cloud that the suites ask: two machines, since part of Tempest wants a second host, and control on both, since part of it goes from one worker of an API to
 * another. They are network namespaces, made and removed here, which takes root, `ip` and nothing of the machine's own network; the suites run in the first one's,
 * where its external network is.
 */
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JoinedMachine, JoinedMachines } from '../support/joined-machines.ts';
import { bothy, environmentOf, type LiveCloud, until } from '../support/live-cloud.ts';
import { ReplicatedPostgres } from '../support/replicated-postgres.ts';

/** Of the cloud's pools: Tempest moves volumes between two. */
export const poolNames = ['first', 'second'];

export interface ConformanceCloud extends LiveCloud {
  /** What a command is begun by, so that it reaches floating IPs. */
  within: readonly string[];
  /** Of an image that is out in the web; absent: nobody serves one. */
  webImage?: string;
  /** Where the second control serves the same APIs; absent: there is one. */
  secondUrl?: string;
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
  let postgres: ReplicatedPostgres | undefined;
  const machines = await JoinedMachines.start(2, async (n): Promise<Record<string, string>> => {
    const storage_pools = poolsBelow(join(pools, String(n)));
    if (n > 0) return { storage_pools };
    // One that the second control reaches, too.
    postgres = await ReplicatedPostgres.start({ synchronous: false, address: '10.8.0.254' });
    return { storage_pools, ...settings, database_url: postgres.url };
  });
  const [first, second] = machines.machines;
  let web: Server | undefined;
  const remove = async () => {
    web?.close();
    await machines[Symbol.asyncDispose]();
    postgres?.[Symbol.dispose]();
    rmSync(pools, { recursive: true });
  };
  let secondUrl: string;
  try {
    await machines.join(second!);
    secondUrl = await startControl(first!, second!);
    web = await serveImage(machines);
  } catch (error) {
    await remove();
    throw error;
  }
  const within = ['nsenter', `--net=/run/netns/${first!.namespace}`];
  const beside = { within, webImage: `http://${webAddress}/image`, secondUrl };
  return { ...machines.cloud, ...beside, [Symbol.asyncDispose]: remove };
}

/** Control on the second machine, too, as docs/runbook-several-controls.md has it. */
async function startControl(first: JoinedMachine, second: JoinedMachine): Promise<string> {
  const kit = join(second.data, '..', 'kit');
  writeFileSync(kit, await first.must(bothy, 'controls', '--give', second.name, '--data', first.data), { mode: 0o600 });
  await second.must(bothy, 'controls', '--take', kit, '--data', second.data);
  await second.must(bothy, 'down', '--keep-guests', '--data', second.data);
  await second.must(bothy, 'up', '--detach', '--data', second.data);
  const living = async () => (await first.must(bothy, 'controls', '--data', first.data)).match(/lives/g)?.length;
  await until('both controls to live', async () => (await living()) === 2, 60_000);
  const port = /^port = (\d+)$/m.exec(readFileSync(join(second.data, 'bothy.conf'), 'utf8'))![1];
  return `https://10.8.0.2:${port}`;
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
