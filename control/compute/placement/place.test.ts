import assert from 'node:assert/strict';
import { test } from 'node:test';
import { place } from './place.ts';
import type { HostCapacity, PlacementRequest } from './request.ts';

const host = (id: string, over: Partial<HostCapacity> = {}): HostCapacity => ({
  id,
  name: `host ${id}`,
  availability_zone: 'nova',
  enabled: true,
  connected: true,
  forced_down: false,
  seen_lately: true,
  vcpus: 16,
  memory_mib: 16384,
  disk_gib: 100,
  used_vcpus: 0,
  used_memory_mib: 0,
  used_disk_gib: 0,
  holds_image: false,
  ...over,
});
const request: PlacementRequest = {
  vcpus: 2,
  memory_mib: 2048,
  disk_gib: 10,
  availability_zone: null,
  requested_host_id: null,
};

test('the host that stays freest takes the server; of equals the one that holds the image', () => {
  assert.equal(place(request, [host('a', { used_memory_mib: 8192 }), host('b')]).host?.id, 'b');
  assert.equal(place(request, [host('a'), host('b', { holds_image: true })]).host?.id, 'b');
  assert.equal(place(request, [host('b'), host('a')]).host?.id, 'a', 'and the same snapshot gives the same answer');
});

test('a host that an administrator says is down takes nothing, is not waited for, and the tenant hears why', () => {
  const down = place(request, [host('a', { forced_down: true })]);
  assert.deepEqual([down.host, down.soon], [null, false]);
  assert.match(down.message, /down by an administrator/);
  const away = host('a', { forced_down: true, connected: false });
  assert.equal(place(request, [away]).soon, false, 'not though it was here a moment ago');
  assert.equal(place(request, [away, host('b')]).host?.id, 'b');
});

/** Where `count` servers go that are placed one after the other: how many each host gets. */
function burst(count: number, hosts: readonly HostCapacity[], wish = request): number[] {
  const carried = hosts.map(() => 0);
  for (let n = 0; n < count; n++) {
    const loaded = hosts.map((host, index) => ({
      ...host,
      used_vcpus: host.used_vcpus + carried[index]! * wish.vcpus,
      used_memory_mib: host.used_memory_mib + carried[index]! * wish.memory_mib,
      used_disk_gib: host.used_disk_gib + carried[index]! * wish.disk_gib,
    }));
    const index = hosts.findIndex(({ id }) => id === place(wish, loaded).host?.id);
    assert.notEqual(index, -1, 'placed');
    carried[index]!++;
  }
  return carried;
}

test('a burst of servers spreads over equal hosts, though one alone holds the image', () => {
  for (const size of [1, 10, 1000]) {
    // As hosts of some size, so that a server takes a large part of one or next to nothing.
    const big = { vcpus: 16 * size, memory_mib: 16384 * size, disk_gib: 100 * size };
    const hosts = Array.from({ length: 10 }, (_, i) => host(String(i), { ...big, holds_image: i === 3 }));
    const carried = burst(50, hosts);
    assert.ok(Math.min(...carried) >= 3 && Math.max(...carried) <= 7, `${carried}`);
    assert.equal(carried[3], Math.max(...carried), 'the one with the image leads');
  }
});

test('a copy of the image weighs two servers: the host that holds it takes them first, then others', () => {
  const [holder, other] = [host('b', { holds_image: true }), host('a')];
  assert.deepEqual(burst(2, [holder, other]), [2, 0]);
  assert.deepEqual(burst(3, [holder, other]), [2, 1]);
  assert.deepEqual(burst(4, [holder, other], { ...request, disk_gib: 0 }), [3, 1]);
  const { verdicts } = place(request, [holder, other]);
  assert.deepEqual(
    verdicts.map(({ host_id, holds_image, left, score }) => [host_id, holds_image, left, score]),
    [
      ['b', true, 0.875, 0.875],
      ['a', false, 0.875, 0.625],
    ],
    'the record says why',
  );
});

test('a server may fill a host to the last byte and no further', () => {
  const exact = host('a', { used_vcpus: 14, used_memory_mib: 14336, used_disk_gib: 90 });
  assert.equal(place(request, [exact]).host?.id, 'a');
  for (const over of [{ used_vcpus: 15 }, { used_memory_mib: 14337 }, { used_disk_gib: 91 }]) {
    assert.equal(place(request, [host('a', over)]).host, null);
  }
});

test('closed, unconnected and foreign hosts are never chosen, and the why-record says so', () => {
  const found = place({ ...request, availability_zone: 'east' }, [
    host('a', { enabled: false, availability_zone: 'east' }),
    host('b', { connected: false, availability_zone: 'east' }),
    host('c'),
  ]);
  assert.equal(found.host, null);
  assert.deepEqual(found.refusals, { disabled: 1, disconnected: 1, other_zone: 1 });
  assert.equal(found.message, 'a host is closed for new servers; a host is not connected');
});

test('the tenant’s text names no host and no number of what is free', () => {
  const found = place({ ...request, memory_mib: 99999 }, [host('secret-name'), host('b', { used_vcpus: 16 })]);
  assert.equal(found.message, 'every host has too little memory free; a host has too few vCPUs free');
  assert.equal(found.fix, 'use a flavor with less memory or delete a server');
  assert.ok(!JSON.stringify([found.message, found.fix]).includes('secret'));
});

test('no host at all, no such zone and a requested host have their own words', () => {
  assert.equal(place(request, []).fix, 'ask the administrators to add a host');
  assert.match(place({ ...request, availability_zone: 'x' }, [host('a')]).message, /availability zone 'x'/);
  assert.equal(place({ ...request, requested_host_id: 'b' }, [host('a'), host('b')]).host?.id, 'b');
});

test('a thousand hosts leave a small record', () => {
  const found = place(
    request,
    Array.from({ length: 1000 }, (_, i) => host(String(i))),
  );
  assert.equal(found.verdicts.length, 20);
  assert.equal(found.hosts, 1000);
});

test('a host that is away for the moment is worth a wait; one that has been away longer, or is full, is not', () => {
  const soon = (...hosts: HostCapacity[]) => place(request, hosts).soon;
  assert.equal(soon(host('a', { connected: false })), true);
  assert.equal(soon(host('a', { connected: false, seen_lately: false })), false);
  assert.equal(soon(host('a', { connected: false, memory_mib: 1 })), false);
  assert.equal(soon(host('a', { connected: false }), host('b')), false, 'another takes it at once');
});

test('a host whose cards have not so much left to promise takes no server that asks for it, each network and way for itself', () => {
  const give = (physical_network: string, egress_kbps: number, ingress_kbps: number) => ({
    ...{ physical_network, egress_kbps, ingress_kbps },
  });
  const wish = { ...request, bandwidth: [give('', 5, 0), give('physnet1', 0, 7)] };
  const enough = host('b', { bandwidth: [give('physnet1', -3, 7), give('', 5, -1)], used_vcpus: 8 });
  const short = [
    host('a', { bandwidth: [give('', 12, 12)] }),
    host('c', { bandwidth: [give('', 4, 9), give('physnet1', 9, 9)] }),
    host('d'),
  ];
  assert.equal(place(wish, [...short, enough]).host?.id, 'b');
  const none = place(wish, short);
  assert.deepEqual([none.host, none.soon, none.refusals], [null, false, { too_little_bandwidth: 3 }]);
  assert.match(none.message, /^every host has too little bandwidth left to promise$/);
  assert.equal(place(request, short).host?.id, 'a', 'who asks for none is not refused');
});

test('a host that does not reach a physical network of the ports takes no server, and of several for one network it reaches one', () => {
  const of = (any: string[], beside: string[] = []) => ({ any, beside, deferred: false });
  const wish = { ...request, reach: [of(['red']), of(['blue', 'green'], ['white'])] };
  const hosts = [host('a'), host('b', { physical_networks: ['red'] }), host('c', { physical_networks: ['blue'] })];
  const none = place(wish, hosts);
  assert.deepEqual([none.host, none.soon, none.refusals], [null, false, { network_not_reached: 3 }]);
  assert.match(none.message, /^every host does not reach one segment/);
  const torn = ['white', 'blue'].map((more) => host(more, { physical_networks: ['red', 'green', more] }));
  const good = host('d', { physical_networks: ['green', 'red'], used_vcpus: 8 });
  assert.equal(place(wish, [...hosts, ...torn, good]).host?.id, 'd');
});

test('who asks may leave hosts out or name the one, and is told that it was that', () => {
  const hosts = [host('a'), host('b'), host('c', { used_vcpus: 8 })];
  assert.equal(place({ ...request, exclude: ['a', 'b'] }, hosts).host?.id, 'c');
  assert.equal(place({ ...request, only: 'c' }, hosts).host?.id, 'c');
  const none = place({ ...request, only: 'c', exclude: ['c'] }, hosts);
  assert.deepEqual(none.refusals, { other_host_requested: 2, excluded: 1 });
  assert.deepEqual(
    none.alternatives.map(({ name, fix }) => [name, fix]),
    [
      ['host a', 'do not ask for a certain host'],
      ['host c', 'let the host that was left out be used'],
    ],
  );
});

test('a server that moves has all asked of the other host, and is no neighbour of itself', () => {
  const hosts = [host('a', { used_vcpus: 16 }), host('b', { used_vcpus: 13 }), host('c', { used_vcpus: 15 })];
  const group = { policy: 'anti-affinity', max_servers_per_host: 1, hosts: new Map([['a', 1]]) } as const;
  const moving = { server_id: 's', host_id: 'a' };
  assert.equal(place({ ...request, moving }, hosts, group).host?.id, 'b');
  const roomy = hosts.map((one) => ({ ...one, used_vcpus: 0 }));
  assert.equal(place({ ...request, moving, only: 'a' }, roomy, group).host?.id, 'a');
  assert.equal(place({ ...request, only: 'a' }, roomy, group).host, null, 'one more would be too many');
});

test('a host that has not the machine, the processors or the limits that a guest needs is refused for just that', () => {
  const machine = { type: 'pc-q35-7.2', cpu_model: 'max', cpu_limits: true };
  const good = { machine_types: ['pc-q35-9.0', 'pc-q35-7.2'], cpu_model: 'max', cpu_limits: true };
  const found = place({ ...request, machine }, [
    host('a', { ...good, machine_types: ['pc-q35-9.0'] }),
    host('b', { ...good, cpu_model: 'host' }),
    host('c', { ...good, cpu_limits: false }),
    host('d', { ...good, used_vcpus: 14 }),
  ]);
  assert.equal(found.host?.id, 'd');
  assert.deepEqual(found.refusals, { machine_type_unserved: 1, cpu_model_differs: 1, no_cpu_limits: 1 });
});

test('packed, servers fill the fullest host that takes them before the next; the image weighs there too, and a hard group still parts them', () => {
  const pack = { ...request, policy: 'pack' as const };
  const hosts = [host('a'), host('b', { used_vcpus: 2 }), host('c', { used_vcpus: 15 })];
  assert.equal(place(pack, hosts).host?.id, 'b');
  assert.deepEqual(burst(9, hosts, pack), [2, 7, 0]);
  assert.equal(
    place(pack, [host('a', { used_vcpus: 4, holds_image: true }), host('b', { used_vcpus: 6 })]).host?.id,
    'a',
  );
  assert.equal(place(pack, [host('a', { holds_image: true }), host('b', { used_vcpus: 8 })]).host?.id, 'b');
  const group = { policy: 'anti-affinity', max_servers_per_host: 1, hosts: new Map([['b', 1]]) } as const;
  assert.equal(place(pack, hosts, group).host?.id, 'a');
});
