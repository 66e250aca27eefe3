/**
 * The cloud that the suites ask: two machines, since part of Tempest wants a second host. They are network namespaces, made and removed here, which takes
 * root, `ip` and nothing of the machine's own network; the suites run in the first one's, where its external network is.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JoinedMachines } from '../support/joined-machines.ts';
import { environmentOf, type LiveCloud } from '../support/live-cloud.ts';

/** Of the cloud's pools: Tempest moves volumes between two. */
export const poolNames = ['first', 'second'];

export interface ConformanceCloud extends LiveCloud {
  /** What a command is begun by, so that it reaches floating IPs. */
  within: readonly string[];
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
  const remove = async () => {
    await machines[Symbol.asyncDispose]();
    rmSync(pools, { recursive: true });
  };
  try {
    await machines.join(second!);
  } catch (error) {
    await remove();
    throw error;
  }
  const within = ['nsenter', `--net=/run/netns/${first!.namespace}`];
  return { ...machines.cloud, within, [Symbol.asyncDispose]: remove };
}

const settings = {
  // What Tempest's tests of lock-out and password history are told of the cloud (tempest.ts).
  ...{ lockout_attempts: '2', lockout_seconds: '5', password_unique: '2' },
  // Servers and volumes meet on one host as long as it has room, as the tests that attach one to the other take for granted.
  placement_policy: 'pack',
};

function poolsBelow(directory: string): string {
  mkdirSync(directory, { mode: 0o711 });
  for (const name of poolNames) mkdirSync(join(directory, name));
  return poolNames.map((name) => `${name}:disk:${join(directory, name)}`).join();
}
