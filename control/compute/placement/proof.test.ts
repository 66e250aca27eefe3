/** For each thing of a host, and of what a server needs, broken in turn: the proof names exactly that one, says what would mend it, and holds again when it is mended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brokenOnTheWay, prove } from './proof.ts';
import { meanings } from './refusals.ts';
import type { HostCapacity, Refusal } from './request.ts';
import { breaks, broken, whole } from './testing.ts';

const proofOf = ({ request, hosts, group }: ReturnType<typeof whole>, host: HostCapacity = hosts[0]!) =>
  prove(request, host, group);
const brokenOf = (world: ReturnType<typeof whole>) => proofOf(world).filter(({ ok }) => !ok);

test('in the whole world every check is there, and holds', () => {
  const checks = proofOf(whole());
  assert.deepEqual(
    checks.map(({ check }) => check),
    Object.keys(meanings),
  );
  assert.ok(checks.every(({ ok }) => ok));
});

for (const refusal of Object.keys(breaks) as Refusal[]) {
  test(`${refusal} broken: the proof names it alone, and mended it holds`, () => {
    const world = broken(whole(), refusal);
    const [found, ...others] = brokenOf(world);
    assert.equal(found?.check, refusal);
    assert.deepEqual(others, []);
    assert.ok(found.why!.startsWith('the host ') && found.fix && found.cure, found.cure ?? '');
    assert.doesNotMatch(
      `${found.why} ${found.fix}`,
      /host-[abc]|ayşe|\d\d/,
      'nothing for tenants that they may not read',
    );
    const { cure: change, fix, ...failed } = found;
    const way = { host_id: 'a', name: 'host-a', failed: [failed], change: change!, fix: fix! };
    assert.deepEqual(brokenOf({ ...world, ...breaks[refusal].mend(world, way) }), []);
  });
}

test('at hand-over the way is looked at again, and not the room, which is claimed, nor who is open', () => {
  const way = Object.keys(breaks).filter((refusal) => brokenOnTheWay(proofOf(broken(whole(), refusal as Refusal))));
  assert.deepEqual(way, [
    ...['network_not_reached', 'tunnel_broken', 'volume_unopenable', 'unable_to_migrate'],
    ...['machine_type_unserved', 'cpu_model_differs', 'no_cpu_limits'],
  ]);
});
