/** Trunks through real OVN: one card on two networks, by the tags of its frames. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { unit } from '../../control/network/ovn/index.ts';
import { type Endpoint, labMissing } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const host = newId();
const [parentMac, subportMac, tag] = ['fa:16:3e:00:05:11', 'fa:16:3e:00:06:11', 100];

let world: ProjectedLab;
const ports: Record<string, string> = {};
const at: Record<string, Endpoint> = {};

const settled = (...names: string[]) =>
  world.projector.reached(
    names.map((name) => unit('port', ports[name]!)),
    { timeoutMs: 20_000 },
  );

/** Whether an echo with this tag and source comes back from there. */
const tagged = (target: string, over: { ip?: string; tag?: number; ms?: number } = {}): string =>
  world.lab
    .inside(
      at.trunk!.namespace,
      'python3',
      join(import.meta.dirname, 'tagged-peer.py'),
      ...[subportMac, over.ip ?? '10.6.0.11', String(over.tag ?? tag), target, String(over.ms ?? 5000)],
    )
    .trim();

const peer = join(import.meta.dirname, 'ovn-peer.ts');
/** By the card itself, without a tag. */
const reaches = (target: string, ms = 3000): boolean =>
  world.lab.inside(at.trunk!.namespace, process.execPath, peer, 'knock', target, '80', String(ms)).trim() !== 'closed';

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1']);
  const { cloud, lab } = world;
  const group = await cloud.securityGroup();
  await cloud.rule(group, { protocol: 'icmp' });
  await cloud.rule(group, { protocol: 'tcp', port_range_min: 80, port_range_max: 80 });
  const add = async (
    name: string,
    net: number,
    last: number,
    network: string,
    subnet: string,
    mac: string,
    row = {},
  ) => {
    ports[name] = await cloud.port(network, [{ subnet, ip: `10.${net}.0.${last}` }], { mac, host_id: host, ...row }, [
      group,
    ]);
  };
  for (const net of [5, 6]) {
    const network = await cloud.network();
    const subnet = await cloud.subnet(network, `10.${net}.0.0/24`);
    const [mac, other] = [net === 5 ? parentMac : subportMac, `fa:16:3e:00:0${net}:12`];
    await add(
      net === 5 ? 'trunk' : 'subport',
      net,
      11,
      network,
      subnet,
      mac,
      net === 6 ? { device_owner: 'trunk:subport' } : {},
    );
    await add(`plain${net}`, net, 12, network, subnet, other);
    at[`plain${net}`] = lab.endpoint(`plain${net}`, {
      ...{ iface: ports[`plain${net}`]!, mac: other, addresses: [`10.${net}.0.12/24`] },
    });
  }
  at.trunk = lab.endpoint('trunk', { iface: ports.trunk!, mac: parentMac, addresses: ['10.5.0.11/24'] });
  const trunk = await cloud.insert('trunk', { id: newId(), project_id: cloud.project, port_id: ports.trunk });
  await cloud.insert('subport', { port_id: ports.subport, trunk_id: trunk, segmentation_id: tag });
  await settled('trunk', 'subport', 'plain5', 'plain6');
  for (const name of ['plain5', 'plain6']) {
    const child = lab.spawnInside(at[name]!.namespace, process.execPath, peer, 'serve', '80');
    await once(child.stdout!, 'data');
  }
});

after(() => world?.[Symbol.asyncDispose]());

test('frames with the tag are the subport’s, on its network, and those without are the parent’s', { skip }, () => {
  assert.equal(tagged('10.6.0.12'), 'answered');
  assert.equal(reaches('10.5.0.12'), true);
  assert.equal(reaches('10.6.0.12', 600), false);
});

test('another tag leads nowhere, and the subport poses as no other', { skip }, () => {
  assert.equal(tagged('10.6.0.12', { tag: 101, ms: 600 }), 'closed');
  assert.equal(tagged('10.6.0.12', { ip: '10.6.0.99', ms: 600 }), 'closed');
  assert.equal(tagged('10.5.0.12', { ms: 600 }), 'closed');
});

test('a subport is up as its parent is plugged', { skip }, async () => {
  await world.lab.until('the subport is up', async () => {
    const { rows } = await sql`select from port where id = ${ports.subport} and observed_up`.execute(
      world.db.database.query,
    );
    return rows.length === 1;
  });
});

test('a subport that leaves its trunk is on the card no more', { skip }, async () => {
  await world.cloud.run(sql`delete from subport where port_id = ${ports.subport}`);
  await settled('subport');
  assert.equal(tagged('10.6.0.12', { ms: 600 }), 'closed');
  assert.equal(reaches('10.5.0.12'), true);
});
