import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostId } from '../../contract/ids.ts';
import { names, owner, ownerKey } from './names.ts';
import type { HostNetworkOptions } from './options.ts';
import { planMachine, planPlug, planUnplug } from './plan.ts';
import type { ObservedBridge, ObservedInterface, OvsState } from './state.ts';

const ours = names('ab12');
const options: HostNetworkOptions = {
  tag: 'ab12',
  hostId: '01900000-0000-7000-8000-0000000000f1' as HostId,
  hostname: 'one',
  runDirectory: '/run/bothy/ab12',
  logDirectory: '/log',
  southbound: 'unix:/sb',
  guestUser: 'nobody',
  proxyUser: 'nobody',
  encapsulation: { ip: '127.0.0.1', type: 'geneve' },
  datapath: 'auto',
  external: { physicalNetwork: 'physnet1', addresses: ['172.24.4.1/24'] },
  uplink: 'none',
};
const netdev = { type: 'netdev', reason: '' } as const;

function state(parts: Partial<OvsState> = {}): OvsState {
  return {
    rootUuid: 'root',
    externalIds: {},
    bridges: new Map(),
    interfaces: new Map(),
    offeringZeroSnat: undefined,
    ...parts,
  };
}

const bridge = (name: string, changes: Partial<ObservedBridge> = {}): [string, ObservedBridge] => [
  name,
  {
    uuid: `uuid-${name}`,
    name,
    datapathType: 'netdev',
    failMode: name === ours.integrationBridge ? 'secure' : 'standalone',
    otherConfig: { 'disable-in-band': 'true' },
    externalIds: { [ownerKey]: owner.machine },
    ...changes,
  },
];

const plugged = (changes: Partial<ObservedInterface> = {}): ObservedInterface => ({
  name: 'ab12t000000001',
  bridge: ours.integrationBridge,
  portUuid: 'port',
  interfaceUuid: 'interface',
  ofport: 3,
  ifindex: 9,
  error: null,
  externalIds: {
    'iface-id': 'lsp',
    'attached-mac': 'fa:16:3e:00:00:01',
    'iface-status': 'active',
    [ownerKey]: 'port/p',
    'ovn-installed': 'true',
  },
  ...changes,
});

const wanted = { device: 'ab12t000000001', logicalPort: 'lsp', mac: 'fa:16:3e:00:00:01', owner: 'port/p' };

/** The state after a plan for an empty machine was carried out. */
function prepared(): OvsState {
  const [first] = planMachine(state(), ours, options, netdev);
  assert.ok(first?.do === 'set-external-ids');
  return state({
    externalIds: { ...first.set, 'foreign-key': 'stays' },
    bridges: new Map([bridge(ours.integrationBridge), bridge(ours.externalBridge)]),
  });
}

test('an empty machine gets its identity and both bridges', () => {
  const changes = planMachine(state(), ours, options, netdev);
  assert.deepEqual(
    changes.map((change) => ('name' in change ? `${change.do} ${change.name}` : change.do)),
    ['set-external-ids', 'add-bridge ab12int', 'add-bridge ab12ex'],
  );
});

test('a prepared machine needs nothing, and what others wrote stays', () => {
  assert.deepEqual(planMachine(prepared(), ours, options, netdev), []);
});

test('what a userspace datapath offers and OVN must not use is withdrawn, each time it is offered', () => {
  const changes = planMachine({ ...prepared(), offeringZeroSnat: 'datapath' }, ours, options, netdev);
  assert.deepEqual(changes, [{ do: 'withdraw-zero-snat', uuid: 'datapath' }]);
});

test('an integration bridge that ovn-controller made is made ours', () => {
  const before = prepared();
  const bridges = new Map([...before.bridges, bridge(ours.integrationBridge, { externalIds: {}, datapathType: '' })]);
  const changes = planMachine({ ...before, bridges }, ours, options, netdev);
  assert.deepEqual(changes, [
    { do: 'set-bridge', uuid: 'uuid-ab12int', datapathType: 'netdev', failMode: 'secure', owner: 'machine' },
  ]);
});

test('without an external network its mapping is taken away', () => {
  const { external: _, ...internal } = options;
  const changes = planMachine(prepared(), ours, internal, netdev);
  assert.deepEqual(changes, [{ do: 'set-external-ids', set: {}, remove: ['ovn-bridge-mappings', 'ovn-cms-options'] }]);
});

test('a card for the underlay joins a bridge on the userspace datapath only', () => {
  const underlay = { device: 'eth1', address: '10.9.0.1/24' };
  const withCard = planMachine(prepared(), ours, { ...options, underlay }, netdev);
  assert.deepEqual(
    withCard.map((change) => change.do),
    ['add-bridge', 'add-port'],
  );
  const kernel = planMachine(prepared(), ours, { ...options, underlay }, { type: 'system', reason: '' });
  assert.equal(
    kernel.some((change) => change.do === 'add-port'),
    false,
  );
});

test('a plugged device needs nothing, whatever ovn-controller noted on it', () => {
  const interfaces = new Map([[wanted.device, plugged()]]);
  assert.deepEqual(planPlug(state({ interfaces }), ours, wanted), []);
});

test('a device is plugged once, corrected, and moved to the right bridge', () => {
  assert.deepEqual(
    planPlug(state(), ours, wanted).map((change) => change.do),
    ['add-port'],
  );
  const at = (changes: Partial<ObservedInterface>) =>
    state({ interfaces: new Map([[wanted.device, plugged(changes)]]) });
  const [correction] = planPlug(at({ externalIds: { [ownerKey]: 'port/p', 'ovn-installed': 'true' } }), ours, wanted);
  assert.ok(correction?.do === 'set-interface');
  assert.equal(correction.externalIds['iface-id'], 'lsp');
  assert.equal(correction.externalIds['ovn-installed'], 'true');
  assert.deepEqual(
    planPlug(at({ bridge: 'ab12ex' }), ours, wanted).map((change) => change.do),
    ['delete-port', 'add-port'],
  );
});

test("a device that carries another's stamp is never taken over", () => {
  const interfaces = new Map([[wanted.device, plugged({ externalIds: { [ownerKey]: 'port/other' } })]]);
  assert.throws(() => planPlug(state({ interfaces }), ours, wanted), /belongs to port\/other/);
});

test('what is not plugged need not be unplugged', () => {
  assert.deepEqual(planUnplug(state(), wanted.device), []);
});
