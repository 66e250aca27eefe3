/** Plans: what to change in Open vSwitch so that it is as desired. Pure; an empty plan means that all is well. */

import { type Names, owner, ownerKey } from './names.ts';
import type { HostNetworkOptions } from './options.ts';
import type { Change, OvsState } from './state.ts';

export interface Datapath {
  type: 'system' | 'netdev';
  /** Why this one; for people. */
  reason: string;
}

export const datapathKey = 'bothy:datapath';

export function planMachine(state: OvsState, names: Names, options: HostNetworkOptions, datapath: Datapath): Change[] {
  const changes: Change[] = [];
  if (state.offeringZeroSnat) changes.push({ do: 'withdraw-zero-snat', uuid: state.offeringZeroSnat });
  const { set, remove } = differingIds(state.externalIds, machineIds(names, options, datapath));
  if (Object.keys(set).length + remove.length > 0) changes.push({ do: 'set-external-ids', set, remove });
  const bridges: { name: string; failMode: 'secure' | 'standalone'; device?: string }[] = [
    { name: names.integrationBridge, failMode: 'secure' },
  ];
  if (options.external) {
    const { device } = options.external;
    bridges.push({ name: names.externalBridge, failMode: 'standalone', ...(device ? { device } : {}) });
  }
  if (options.underlay && datapath.type === 'netdev') {
    bridges.push({ name: names.underlayBridge, failMode: 'standalone', device: options.underlay.device });
  }
  for (const { name, failMode, device } of bridges) {
    const found = state.bridges.get(name);
    const wanted = { datapathType: datapath.type, failMode, owner: owner.machine };
    if (!found) changes.push({ do: 'add-bridge', name, ...wanted });
    else if (
      found.datapathType !== datapath.type ||
      found.failMode !== failMode ||
      found.otherConfig['disable-in-band'] !== 'true' ||
      found.externalIds[ownerKey] !== owner.machine
    ) {
      changes.push({ do: 'set-bridge', uuid: found.uuid, ...wanted });
    }
    if (device !== undefined && state.interfaces.get(device)?.bridge !== name) {
      changes.push({ do: 'add-port', bridge: name, device, externalIds: { [ownerKey]: owner.machine } });
    }
  }
  return changes;
}

function machineIds(names: Names, options: HostNetworkOptions, datapath: Datapath): Record<string, string | undefined> {
  const { external } = options;
  return {
    'system-id': options.hostId,
    hostname: options.hostname,
    'ovn-remote': options.southbound,
    'ovn-encap-type': options.encapsulation.type,
    'ovn-encap-ip': options.encapsulation.ip,
    'ovn-bridge': names.integrationBridge,
    'ovn-bridge-datapath-type': datapath.type,
    'ovn-bridge-mappings': external ? `${external.physicalNetwork}:${names.externalBridge}` : undefined,
    'ovn-cms-options': external ? 'enable-chassis-as-gw' : undefined,
    [datapathKey]: datapath.type,
  };
}

function differingIds(found: Readonly<Record<string, string>>, wanted: Record<string, string | undefined>) {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const [key, value] of Object.entries(wanted)) {
    if (found[key] === value) continue;
    if (value === undefined) remove.push(key);
    else set[key] = value;
  }
  return { set, remove };
}

export interface WantedPlug {
  /** The kernel's device. */
  device: string;
  /** Name of the logical switch port. */
  logicalPort: string;
  mac: string;
  owner: string;
}

/** A device plugged into the integration bridge for a logical port. */
export function planPlug(state: OvsState, names: Names, wanted: WantedPlug): Change[] {
  const bridge = names.integrationBridge;
  const externalIds = {
    'iface-id': wanted.logicalPort,
    'attached-mac': wanted.mac,
    'iface-status': 'active',
    [ownerKey]: wanted.owner,
  };
  const found = state.interfaces.get(wanted.device);
  if (!found) return [{ do: 'add-port', bridge, device: wanted.device, externalIds }];
  const stamp = found.externalIds[ownerKey];
  if (stamp !== wanted.owner) {
    throw new Error(`${wanted.device} belongs to ${stamp ?? 'no one of ours'}, not to ${wanted.owner}`);
  }
  if (found.bridge !== bridge) {
    return [
      { do: 'delete-port', bridge: found.bridge, portUuid: found.portUuid },
      { do: 'add-port', bridge, device: wanted.device, externalIds },
    ];
  }
  // ovn-controller adds keys of its own (ovn-installed); they stay.
  const differs = Object.entries(externalIds).some(([key, value]) => found.externalIds[key] !== value);
  const merged = { ...found.externalIds, ...externalIds };
  return differs ? [{ do: 'set-interface', uuid: found.interfaceUuid, externalIds: merged }] : [];
}

export function planUnplug(state: OvsState, device: string): Change[] {
  const found = state.interfaces.get(device);
  return found ? [{ do: 'delete-port', bridge: found.bridge, portUuid: found.portUuid }] : [];
}
