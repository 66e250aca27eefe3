import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HostCapacity, type PlacementRequest, place } from './place.ts';

const host = (id: string, over: Partial<HostCapacity> = {}): HostCapacity => ({
  id,
  name: `host ${id}`,
  availability_zone: 'nova',
  enabled: true,
  connected: true,
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
  assert.equal(found.message, '1 of 2 hosts is closed for new servers; 1 of 2 hosts is not connected');
});

test('the tenant’s text names no host and no number of what is free', () => {
  const found = place({ ...request, memory_mib: 99999 }, [host('secret-name'), host('b', { used_vcpus: 16 })]);
  assert.equal(found.message, 'every host has too little memory free; 1 of 2 hosts has too few vCPUs free');
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
