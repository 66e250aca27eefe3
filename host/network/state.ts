/**
 * What the machine's Open vSwitch database says, in the form that plans are made from, and the changes that plans ask
 * of it. Pure but for the copy it reads.
 */
import { userspaceDatapath, zeroSnat } from '../../engine/zero-snat.ts';
import { list, map, type OvsdbClient, type Row, type Transaction, text } from '../../protocols/ovsdb/index.ts';
import { ownerKey } from './names.ts';

export const monitoredTables = {
  Open_vSwitch: ['bridges', 'datapaths', 'external_ids'],
  Bridge: ['name', 'ports', 'datapath_type', 'fail_mode', 'other_config', 'external_ids'],
  Port: ['name', 'interfaces', 'external_ids'],
  Interface: ['name', 'type', 'ofport', 'error', 'ifindex', 'link_state', 'external_ids', 'mtu_request'],
  Datapath: ['capabilities'],
} as const;

export interface ObservedInterface {
  name: string;
  bridge: string;
  portUuid: string;
  interfaceUuid: string;
  /** OpenFlow port: ≥ 1 where vswitchd has it, -1 where it failed, null where it has not looked yet. */
  ofport: number | null;
  ifindex: number | null;
  error: string | null;
  externalIds: Readonly<Record<string, string>>;
}

export interface ObservedBridge {
  uuid: string;
  name: string;
  datapathType: string;
  failMode: string | null;
  otherConfig: Readonly<Record<string, string>>;
  externalIds: Readonly<Record<string, string>>;
}

export interface OvsState {
  rootUuid: string;
  externalIds: Readonly<Record<string, string>>;
  bridges: ReadonlyMap<string, ObservedBridge>;
  interfaces: ReadonlyMap<string, ObservedInterface>;
  /** The userspace datapath, where it offers {@link zeroSnat}. */
  offeringZeroSnat: string | undefined;
}

/** Throws while the copy is not complete. */
export function readState(client: OvsdbClient): OvsState {
  const { replica } = client;
  const root = [...replica.rows('Open_vSwitch').values()][0];
  if (!root) throw new Error('the Open vSwitch database has no Open_vSwitch row');
  const bridges = new Map<string, ObservedBridge>();
  const interfaces = new Map<string, ObservedInterface>();
  for (const bridge of replica.rows('Bridge').values()) {
    const name = text(bridge, 'name');
    bridges.set(name, {
      uuid: bridge._uuid,
      name,
      datapathType: text(bridge, 'datapath_type'),
      failMode: bridge.fail_mode as string | null,
      otherConfig: map(bridge, 'other_config'),
      externalIds: map(bridge, 'external_ids'),
    });
    for (const portUuid of list(bridge, 'ports')) {
      const port = replica.row('Port', portUuid);
      for (const uuid of port ? list(port, 'interfaces') : []) {
        const row = replica.row('Interface', uuid);
        if (row) interfaces.set(text(row, 'name'), observedInterface(row, name, portUuid));
      }
    }
  }
  const datapath = replica.row('Datapath', map(root, 'datapaths')[userspaceDatapath] ?? '');
  const offers = datapath !== undefined && map(datapath, 'capabilities')[zeroSnat] === 'true';
  const offeringZeroSnat = offers ? datapath._uuid : undefined;
  return { rootUuid: root._uuid, externalIds: map(root, 'external_ids'), bridges, interfaces, offeringZeroSnat };
}

function observedInterface(row: Row, bridge: string, portUuid: string): ObservedInterface {
  return {
    name: text(row, 'name'),
    bridge,
    portUuid,
    interfaceUuid: row._uuid,
    ofport: row.ofport as number | null,
    ifindex: row.ifindex as number | null,
    error: row.error as string | null,
    externalIds: map(row, 'external_ids'),
  };
}

/** A port that is no device. */
export interface Tunnel {
  type: string;
  options: Record<string, string>;
  /** OpenFlow number. */
  ofport: number;
}

export type Change =
  | { do: 'withdraw-zero-snat'; uuid: string }
  | { do: 'set-external-ids'; set: Record<string, string>; remove: string[] }
  | { do: 'add-bridge'; name: string; datapathType: string; failMode: 'secure' | 'standalone'; owner: string }
  | { do: 'set-bridge'; uuid: string; datapathType: string; failMode: 'secure' | 'standalone'; owner: string }
  | { do: 'delete-bridge'; uuid: string }
  | {
      do: 'add-port';
      bridge: string;
      device: string;
      externalIds: Record<string, string>;
      mtu?: number;
      tunnel?: Tunnel;
    }
  | { do: 'set-interface'; uuid: string; externalIds: Record<string, string> }
  | { do: 'delete-port'; bridge: string; portUuid: string };

/** Writes the changes into one transaction. A bridge that a port is added to must exist, before or by an earlier change. */
export function addChanges(tx: Transaction, state: OvsState, changes: Change[]): void {
  const newBridges = new Map<string, Change & { do: 'add-bridge' }>();
  const portsOfNewBridges = new Map<string, string[]>();
  for (const change of changes) {
    switch (change.do) {
      case 'withdraw-zero-snat':
        tx.mutate('Datapath', change.uuid, [
          ['capabilities', 'delete', [zeroSnat]],
          ['capabilities', 'insert', { [zeroSnat]: 'false' }],
        ]);
        break;
      case 'set-external-ids':
        setMap(tx, 'Open_vSwitch', state.rootUuid, change.set, change.remove);
        break;
      case 'add-bridge':
        newBridges.set(change.name, change);
        portsOfNewBridges.set(change.name, [insertPort(tx, change.name, 'internal', {})]);
        break;
      case 'set-bridge': {
        const { datapathType: datapath_type, failMode: fail_mode } = change;
        tx.update('Bridge', change.uuid, { datapath_type, fail_mode });
        setMap(tx, 'Bridge', change.uuid, { [ownerKey]: change.owner }, []);
        tx.mutate('Bridge', change.uuid, [['other_config', 'insert', { 'disable-in-band': 'true' }]]);
        break;
      }
      case 'delete-bridge':
        tx.mutate('Open_vSwitch', state.rootUuid, [['bridges', 'delete', [change.uuid]]]);
        break;
      case 'add-port': {
        const port = insertPort(tx, change.device, change.tunnel ?? '', change.externalIds, change.mtu);
        const isNew = portsOfNewBridges.get(change.bridge);
        if (isNew) isNew.push(port);
        else tx.mutate('Bridge', bridgeUuid(state, change.bridge), [['ports', 'insert', [port]]]);
        break;
      }
      case 'set-interface':
        tx.update('Interface', change.uuid, { external_ids: change.externalIds });
        break;
      case 'delete-port':
        tx.mutate('Bridge', bridgeUuid(state, change.bridge), [['ports', 'delete', [change.portUuid]]]);
        break;
      default:
        change satisfies never;
    }
  }
  for (const bridge of newBridges.values()) {
    const row = tx.insert('Bridge', {
      name: bridge.name,
      ports: portsOfNewBridges.get(bridge.name)!,
      datapath_type: bridge.datapathType,
      fail_mode: bridge.failMode,
      other_config: { 'disable-in-band': 'true' },
      external_ids: { [ownerKey]: bridge.owner },
    });
    tx.mutate('Open_vSwitch', state.rootUuid, [['bridges', 'insert', [row]]]);
  }
  // vswitchd answers with cur_cfg once it has done what came with this number.
  tx.mutate('Open_vSwitch', state.rootUuid, [['next_cfg', '+=', 1]]);
}

function insertPort(
  tx: Transaction,
  name: string,
  kind: string | Tunnel,
  ids: Record<string, string>,
  mtu?: number,
): string {
  const { type, options, ofport } = typeof kind === 'string' ? { type: kind } : kind;
  const tunnel = options && { options, ofport_request: ofport };
  const row = tx.insert('Interface', {
    name,
    type,
    external_ids: ids,
    ...(mtu ? { mtu_request: mtu } : {}),
    ...tunnel,
  });
  const stamp = ids[ownerKey];
  return tx.insert('Port', { name, interfaces: [row], external_ids: stamp ? { [ownerKey]: stamp } : {} });
}

function setMap(tx: Transaction, table: string, uuid: string, set: Record<string, string>, remove: string[]): void {
  const keys = [...Object.keys(set), ...remove];
  // OVSDB's insert leaves keys that exist as they are.
  tx.mutate(table, uuid, [
    ['external_ids', 'delete', keys],
    ['external_ids', 'insert', set],
  ]);
}

function bridgeUuid(state: OvsState, name: string): string {
  const bridge = state.bridges.get(name);
  if (!bridge) throw new Error(`Open vSwitch has no bridge ${name}`);
  return bridge.uuid;
}
