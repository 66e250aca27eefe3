/**
 * Removes everything of a cloud from the machine's network. Finds it by tag, not by memory: works after a crash, with
 * or without a running Open vSwitch, any number of times. No supervisor may run the engines any more: ovn-controller is
 * stopped here (it would make its bridge again), and a supervisor would start it anew.
 */
import { existsSync } from 'node:fs';
import { hostEngines, hostSockets } from '../../engine/open-vswitch.ts';
import { stopEngine } from '../../engine/process.ts';
import { OvsdbClient } from '../../protocols/ovsdb/index.ts';
import { CommandError, findLink, ipBatch, listLinks, listNamespaces, nft, run } from './command.ts';
import { setForwarding, stampedForwarding } from './machine-network.ts';
import { deleteNamespace } from './metadata-namespace.ts';
import { proxyEngine } from './metadata-proxy.ts';
import { type Names, names } from './names.ts';
import { stopNat64 } from './nat64.ts';
import { stopResolvers } from './resolver.ts';
import { addChanges, monitoredTables, readState } from './state.ts';

export interface PurgeOptions {
  tag: string;
  runDirectory: string;
  netns?: string;
}

export async function purgeHostNetwork(options: PurgeOptions): Promise<void> {
  const ours = names(options.tag);
  const { netns } = options;
  if (netns !== undefined && !(await listNamespaces()).includes(netns)) return;
  await stopEngine(proxyEngine(options));
  await stopResolvers(options.runDirectory);
  await stopNat64(options.runDirectory);
  const directories = { dataDirectory: options.runDirectory, logDirectory: options.runDirectory };
  for (const engine of hostEngines({ ...options, ...directories, integrationBridge: ours.integrationBridge })) {
    if (engine.name === 'ovn-controller') await stopEngine(engine);
  }
  await purgeOpenVSwitch(ours, options);
  const places = [ours.namespacePattern, ours.nat64NamespacePattern];
  for (const namespace of (await listNamespaces()).filter((name) => places.some((place) => place.test(name)))) {
    await deleteNamespace(namespace);
  }
  const fixed = [ours.integrationBridge, ours.externalBridge, ours.underlayBridge, ours.probeBridge, ours.tunnelBridge];
  for (const { ifname } of await listLinks({ netns })) {
    const patterns = [ours.tapPattern, ours.vethPattern, ours.nat64VethPattern];
    if (!patterns.some((pattern) => pattern.test(ifname)) && !fixed.includes(ifname)) continue;
    // One end of a veth takes the other along, and a namespace its devices: the list may be outdated already.
    if (await findLink(ifname, { netns })) {
      await ipBatch([`link del dev ${ifname}`], { netns }).catch(async (error) => {
        if (await findLink(ifname, { netns })) throw error;
      });
    }
  }
  await removeDatapathDevice(netns);
  const before = await stampedForwarding(ours, { netns });
  if (before !== undefined) await setForwarding(before, { netns });
  const tables = [`inet ${ours.firewallTable}`, `netdev ${ours.guardTable}`];
  await nft(tables.map((table) => `add table ${table}\ndelete table ${table}\n`).join(''), { netns });
}

/**
 * The userspace datapath's own device bears no tag and outlives ovs-vswitchd. `ip tuntap del` attaches to it first, which
 * the kernel refuses while somebody holds it: another cloud's is not touched.
 */
async function removeDatapathDevice(netns: string | undefined): Promise<void> {
  const device = 'ovs-netdev';
  if (!(await findLink(device, { netns }))) return;
  try {
    await run('ip', ['tuntap', 'del', 'dev', device, 'mode', 'tap'], { netns });
  } catch (error) {
    if (!(error instanceof CommandError && /busy/i.test(error.stderr))) throw error;
  }
}

/** The database is this cloud's own: all its bridges go. */
async function purgeOpenVSwitch(ours: Names, { runDirectory, netns }: PurgeOptions): Promise<void> {
  const { ovsdb } = hostSockets(runDirectory);
  const client = new OvsdbClient({ target: `unix:${ovsdb}`, database: 'Open_vSwitch', monitor: monitoredTables });
  const running = existsSync(ovsdb);
  let emptied = false;
  if (running) {
    client.start();
    try {
      await client.ready({ timeoutMs: 2000 });
      const state = readState(client);
      const tx = client.transaction();
      addChanges(
        tx,
        state,
        [...state.bridges.values()].map(({ uuid }) => ({ do: 'delete-bridge' as const, uuid })),
      );
      await client.transact(tx, { timeoutMs: 2000 });
      emptied = true;
    } catch {
      // Not running: its devices are looked for below.
    } finally {
      await client.stop();
    }
  }
  if (emptied) await bridgesGone(ours, netns);
  else if ((await findLink('ovs-system', { netns })) && (await findLink(ours.integrationBridge, { netns }))) {
    await run('ovs-dpctl', ['del-dp', 'system@ovs-system'], { netns });
  }
}

async function bridgesGone(ours: Names, netns: string | undefined): Promise<void> {
  const end = performance.now() + 3000;
  const there = async () =>
    (await findLink(ours.integrationBridge, { netns })) ?? (await findLink(ours.externalBridge, { netns }));
  while (performance.now() < end && (await there())) await new Promise((resolve) => setTimeout(resolve, 20));
}
