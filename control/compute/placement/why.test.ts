/**
 * A world in which a server fits everywhere is broken in one place, or in two; then the why names just what was broken, and what it
 * calls the nearest way out is one: taken, the server has its host. What people read of it is in golden/why.txt.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { place } from './place.ts';
import { meanings } from './refusals.ts';
import type { Alternative, HostCapacity, Placement, Refusal } from './request.ts';
import { all, breaks, broken, by, type World, whole } from './testing.ts';

function mended(world: World, way: Alternative): World {
  let now = world;
  for (const { check } of way.failed) now = { ...now, ...breaks[check].mend(now, way) };
  return now;
}

const asked = ({ request, hosts, group }: World): Placement => place(request, hosts, group);

function requireWayOut(world: World, found: Placement, name: string): void {
  for (const way of found.alternatives) {
    const after = asked(mended(world, way));
    assert.ok(
      after.verdicts.find(({ host_id }) => host_id === way.host_id)?.refusals.length === 0,
      `${name}: ${way.change}`,
    );
    assert.notEqual(after.host, null, name);
  }
}

const golden: string[] = [];
function write(name: string, { message, fix, alternatives }: Placement): void {
  golden.push(`${name}`, `  in the way   ${message}`, `  fix          ${fix}`);
  golden.push(...alternatives.map(({ change }) => `  would help   ${change}`), '');
}

test('in the whole world the server has a host', () => {
  assert.notEqual(asked(whole()).host, null);
});

for (const refusal of all) {
  test(`${refusal}: named alone, with a way out that is one`, () => {
    const world = broken(whole(), refusal);
    const found = asked(world);
    assert.equal(found.host, null);
    assert.deepEqual(found.refusals, { [refusal]: 3 });
    assert.equal(found.alternatives.length, 1);
    assert.equal(found.fix, meanings[refusal].fix);
    requireWayOut(world, found, refusal);
    write(refusal, found);
  });
}

const kinds = all.filter((refusal) => breaks[refusal].host);
/** Two breaks of the same column are one. */
const sameColumn = (one: Refusal, other: Refusal) =>
  Object.keys(breaks[one].host ?? {}).some((column) => Object.hasOwn(breaks[other].host ?? {}, column));

test('where hosts refuse for different reasons, the nearest of them comes first and each is a way out', () => {
  for (const one of kinds)
    for (const other of kinds.filter((kind) => kind > one)) {
      const world = broken(broken(whole(), one, ['a']), other, ['b', 'c']);
      const found = asked(world);
      assert.deepEqual(found.refusals, { [one]: 1, [other]: 2 });
      const [near, far] = meanings[one].cost <= meanings[other].cost ? [one, other] : [other, one];
      const first = found.alternatives[0]!.failed.map(({ check }) => check);
      if (meanings[near].cost < meanings[far].cost) assert.deepEqual(first, [near]);
      requireWayOut(world, found, `${one}, ${other}`);
      write(`${one} on one, ${other} on the others`, found);
    }
});

test('where every host refuses for two reasons, both are the way out', () => {
  for (const one of all)
    for (const other of kinds.filter((kind) => !sameColumn(kind, one))) {
      const world = broken(broken(whole(), other), one);
      const found = asked(world);
      assert.deepEqual(found.refusals, { [one]: 3, [other]: 3 });
      assert.deepEqual(found.alternatives[0]!.failed.map(({ check }) => check).sort(), [one, other].sort());
      requireWayOut(world, found, `${one} and ${other}`);
    }
});

test('of two full hosts the less full one is nearer, and a smaller wish nearer than what others must do', () => {
  const world = whole();
  const [a, b, c] = world.hosts as [HostCapacity, HostCapacity, HostCapacity];
  const found = asked({
    ...world,
    hosts: [
      { ...a, used_memory_mib: 16_384 },
      { ...b, used_memory_mib: 12_800 },
      { ...c, enabled: false, disabled_by: by },
    ],
  });
  assert.deepEqual(
    found.alternatives.map(({ change }) => change),
    ['512 MiB more memory on host-b', 'open host-c, closed for new servers by ayşe 小屋 at 2026-11-30T01:00:00Z'],
  );
});

test('what tenants read of it names no host, no person and no number of what there is', () => {
  for (const refusal of all) {
    const { message, fix } = asked(broken(whole(), refusal));
    assert.doesNotMatch(`${message} ${fix}`, /host-[abc]|ayşe|disk swap|\d\d/);
  }
});

test('what people read is what golden/why.txt has', () => {
  const file = join(import.meta.dirname, 'golden', 'why.txt');
  const text = `${golden.join('\n')}`;
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, text);
  assert.equal(text, readFileSync(file, 'utf8'));
});
