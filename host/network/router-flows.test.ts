/** Which logical flows meter routers and floating IPs, of what northd of OVN 23.03 writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Replica } from '../../protocols/ovsdb/index.ts';
import { routerFlows } from './router-flows.ts';

const router = '0198c0de-0000-7000-8000-000000000001';
const [inner, gateway] = ['2', '3'].map((n) => `router-port-0198c0de-0000-7000-8000-00000000000${n}`);
const resident = `is_chassis_resident("cr-${gateway}")`;

function client(flows: [stage: string, hint: string, match: string][]) {
  const replica = {
    rows: (table: string) =>
      new Map<string, object>(
        table === 'Datapath_Binding'
          ? [
              ['d', { _uuid: 'd', external_ids: { name: `router-${router}` } }],
              ['x', { _uuid: 'x', external_ids: { name: 'network-1' } }],
            ]
          : flows.map(([stage, hint, match], at) => {
              const ids = { 'stage-name': stage, ...(hint && { 'stage-hint': hint }) };
              const _uuid = `0000000${at}-0000-4000-8000-000000000000`;
              return [_uuid, { _uuid, logical_datapath: 'd', match, external_ids: ids }];
            }),
      ),
  };
  return { replica: replica as unknown as Replica };
}

test('the gateway has what it takes in and gives out, a floating IP what is to it and from it', () => {
  const found = routerFlows(
    client([
      ['lr_in_admission', 'g', `eth.dst == 02:00:00:00:00:02 && inport == "${gateway}" && ${resident}`],
      ['lr_in_admission', 'g', `eth.mcast && inport == "${gateway}"`],
      ['lr_in_admission', 'i', `eth.dst == 02:00:00:00:00:01 && inport == "${inner}"`],
      ['lr_out_delivery', '', `outport == "${inner}"`],
      ['lr_out_delivery', '', `outport == "${gateway}"`],
      [
        'lr_in_unsnat',
        'f',
        `ip && ip4.dst == 203.0.113.11 && inport == "${gateway}" && flags.loopback == 0 && ${resident}`,
      ],
      [
        'lr_in_unsnat',
        's',
        `ip && ip4.dst == 203.0.113.1 && inport == "${gateway}" && flags.loopback == 0 && ${resident}`,
      ],
      ['lr_out_undnat', 'f', `ip && ip4.src == 10.1.0.11 && outport == "${gateway}" && ${resident}`],
      ['lr_in_unsnat', '', '1'],
    ]),
  );
  assert.deepEqual(found, [
    { routerId: router, key: `${router}/${gateway}`, rx: [0], tx: [4] },
    { routerId: router, floatingIp: '203.0.113.11', key: `${router}/f`, rx: [5], tx: [7] },
  ]);
});

test('a policy that counts for labels has its own way alone, and any other policy none', () => {
  const [from, to] = [`inport == "${gateway}" && ip4`, `outport == "${gateway}" && ip6`];
  const found = routerFlows(
    client([
      ['lr_in_policy', 'p1', `${from} && ip4.dst == 10.1.0.0/24`],
      ['lr_in_policy', 'p2', `${to} && ip6.src == fd00::/64 && ip6.dst == 2001:db8::/32`],
      ['lr_in_policy', 'p3', `${to}`],
      ['lr_in_policy', '', '1'],
      ['lr_in_policy', 'p4', 'ip4.src == 10.0.0.0/8'],
      ['lr_in_policy', 'p5', `${from} && ip6.dst == fd00::/64`],
    ]),
  );
  const counted = (direction: string, source: string, destination: string) => ({ direction, source, destination });
  assert.deepEqual(found, [
    {
      ...{ routerId: router, key: `${router}/policy/p1`, rx: [0], tx: [] },
      counted: counted('ingress', '0.0.0.0/0', '10.1.0.0/24'),
    },
    {
      ...{ routerId: router, key: `${router}/policy/p2`, rx: [], tx: [1] },
      counted: counted('egress', 'fd00::/64', '2001:db8::/32'),
    },
    { routerId: router, key: `${router}/policy/p3`, rx: [], tx: [2], counted: counted('egress', '::/0', '::/0') },
  ]);
});

test('what northd says otherwise meters nothing', () => {
  assert.deepEqual(
    routerFlows(
      client([
        ['lr_in_unsnat', 'f', 'something else'],
        ['lr_out_undnat', 'f', '1'],
        ['lr_in_admission', 'g', 'eth.dst == x'],
      ]),
    ),
    [],
  );
});
