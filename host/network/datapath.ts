/**
 * Which datapath: the kernel's where its module is there, nobody else's Open vSwitch uses it and a bridge really comes
 * up on it; else userspace. Decided by trying, once; what was decided stays while it works, for a change of datapath
 * cuts off the guests for a moment.
 */
import { existsSync } from 'node:fs';
import type { OvsdbClient } from '../../protocols/ovsdb/index.ts';
import { type CommandOptions, findLink, run } from './command.ts';
import { type Names, owner } from './names.ts';
import type { HostNetworkOptions } from './options.ts';
import { type Datapath, datapathKey } from './plan.ts';
import { addChanges, type Change, type OvsState, readState } from './state.ts';

export async function chooseDatapath(
  client: OvsdbClient,
  names: Names,
  options: HostNetworkOptions,
): Promise<Datapath> {
  const state = readState(client);
  const known = await settledDatapath({
    ...{ set: options.datapath, decided: state.externalIds[datapathKey] },
    ...{ works: works(state, names.integrationBridge), obstacle: () => kernelObstacle(state, options) },
  });
  if (known !== undefined) return known;
  const failure = await tryKernel(client, names);
  return failure === undefined
    ? { type: 'system', reason: 'a bridge came up on the kernel datapath' }
    : { type: 'netdev', reason: `no bridge comes up on the kernel datapath: ${failure}` };
}

/**
 * What needs no trial; undefined where the kernel's has to be tried. What Open vSwitch noted of a bridge that it can no longer make
 * (`works`) is as it was when it could: of the kernel's datapath it counts only where nothing is in the way.
 *
 * @throws Error where the operator wants what cannot be: bridges that are moved there are gone, and with them the guests' network
 */
export async function settledDatapath(facts: {
  set: HostNetworkOptions['datapath'];
  decided: string | undefined;
  works: boolean;
  obstacle: () => Promise<string | undefined>;
}): Promise<Datapath | undefined> {
  const { set, decided, works } = facts;
  if (set === 'netdev') return { type: set, reason: 'set by the operator' };
  const earlier = 'decided earlier, and it works';
  if (set === 'auto' && decided === 'netdev' && works) return { type: decided, reason: earlier };
  const obstacle = await facts.obstacle();
  if (set === 'system') {
    if (obstacle !== undefined)
      throw new Error(`the setting datapath asks for the kernel's Open vSwitch, and ${obstacle}: set it to auto`);
    return { type: set, reason: 'set by the operator' };
  }
  if (obstacle !== undefined) return { type: 'netdev', reason: obstacle };
  return decided === 'system' && works ? { type: decided, reason: earlier } : undefined;
}

function works(state: OvsState, bridge: string): boolean {
  const local = state.interfaces.get(bridge);
  return local !== undefined && (local.ofport ?? 0) > 0 && local.error === null;
}

async function kernelObstacle(state: OvsState, options: CommandOptions): Promise<string | undefined> {
  if (!existsSync('/sys/module/openvswitch')) {
    try {
      await run('modprobe', ['-q', 'openvswitch']);
    } catch {
      return 'this kernel has no module openvswitch';
    }
    if (!existsSync('/sys/module/openvswitch')) return 'the module openvswitch cannot be loaded';
  }
  const ours = [...state.bridges.values()].some((bridge) => bridge.datapathType === 'system');
  // Two vswitchds on one kernel datapath delete each other's ports.
  if (!ours && (await findLink('ovs-system', options))) return 'another Open vSwitch uses the kernel datapath';
  return undefined;
}

/** Answers what went wrong, or undefined. */
async function tryKernel(client: OvsdbClient, names: Names): Promise<string | undefined> {
  const name = names.probeBridge;
  const change = async (changes: Change[]) => {
    const tx = client.transaction();
    addChanges(tx, readState(client), changes);
    await client.transact(tx);
  };
  const found = () => readState(client).interfaces.get(name);
  if (!readState(client).bridges.has(name)) {
    await change([{ do: 'add-bridge', name, datapathType: 'system', failMode: 'secure', owner: owner.machine }]);
  }
  try {
    await client.replica.until(
      'the probe bridge',
      () => (found()?.ofport ?? 0) !== 0 || (found()?.error ?? null) !== null,
      { timeoutMs: 5000 },
    );
    const result = found();
    return result && (result.ofport ?? -1) > 0 && result.error === null ? undefined : (result?.error ?? 'refused');
  } catch (error) {
    return (error as Error).message;
  } finally {
    const bridge = readState(client).bridges.get(name);
    if (bridge) await change([{ do: 'delete-bridge', uuid: bridge.uuid }]);
  }
}
