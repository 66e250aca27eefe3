/**
 * A server goes from one host to another under real QEMU: two host processes with data directories of their own, told what to do as control tells them
 * (contract/host/migration.ts). The guest writes a numbered sequence into two disks all the while; whoever dies on the way, one copy of it runs in the
 * end, and what its disks hold is an exact prefix of the sequence.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MovingServer } from '../support/moving-server.ts';
import { volumeTests } from '../support/volume-machine.ts';

/** The process of which host dies after which of its steps. */
const phases = [
  ['there', 'make-received'],
  ['there', 'await-source'],
  ['here', 'mirror'],
  ['here', 'migrate'],
  ['here', 'record-hand-over'],
  ['here', 'migrate-continue'],
  ['there', 'record-take-over'],
] as const;

const rounds = Number(process.env.BOTHY_TEST_ROUNDS ?? 8);

test('a guest that writes goes to and fro, and stands still for moments', {
  ...volumeTests,
  timeout: 900_000,
}, async (t) => {
  const moving = await MovingServer.running(t);
  const downtimes: number[] = [];
  for (let round = 0; round < rounds; round++) downtimes.push(await moving.migrate());
  await moving.assertWhole();
  const sorted = downtimes.toSorted((a, b) => a - b);
  t.diagnostic(`downtimes of ${rounds}, ms: ${downtimes.join(' ')}; median ${sorted[Math.floor(rounds / 2)]}`);
});

test('a server that is off goes too, with all that it wrote', volumeTests, async (t: TestContext) => {
  const moving = await MovingServer.running(t);
  await moving.stop();
  await moving.migrateCold();
  await moving.start();
  await moving.assertWhole();
  assert.equal(await moving.marker(), 'kept');
});

test('a target that stands still holds nobody up: the guest goes on at the source', {
  ...volumeTests,
  timeout: 900_000,
}, async (t: TestContext) => {
  const moving = await MovingServer.running(t);
  for (const step of ['migrate', 'record-hand-over', 'migrate-continue']) {
    await moving.freezesAfter(step);
    const began = performance.now();
    if (step === 'migrate') assert.equal(await moving.noticed(), 'way_cut');
    else await moving.takenBack();
    t.diagnostic(`after ${step}: it goes on after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }
  await moving.migrate();
  await moving.assertWhole();
});

test('whoever dies on the way, it runs once, and has all that it wrote', {
  ...volumeTests,
  timeout: 900_000,
}, async (t: TestContext) => {
  const moving = await MovingServer.running(t);

  // The target's QEMU dies: the guest runs on where it is.
  await moving.begin('live');
  await moving.there.kill();
  const stayed = await moving.staying();
  t.diagnostic(`the target's QEMU died: ${stayed?.error?.code}`);

  // The target's QEMU stands still, as one to which the way is cut: the source notices that by itself, and its guest runs on.
  await moving.begin('live');
  await moving.there.freeze();
  assert.equal(await moving.noticed(), 'way_cut');

  // It is called off while it goes.
  await moving.begin('live');
  await moving.cancel();

  // A host process dies, and the next one goes on.
  for (const [side, step] of phases) {
    const mortal = moving[side];
    const before = mortal.deaths;
    await mortal.begin(step);
    await moving.migrate();
    await mortal.reviving;
    assert.equal(mortal.deaths, before + 1, `the ${side}'s process did not die after ${step}`);
    t.diagnostic(`process died after ${step}`);
  }
  await moving.assertWhole();

  // The source's QEMU dies while it goes: what the guest was told is on its disks is there, and the target has nothing.
  await moving.restarted(async () => {
    await moving.begin('live');
    await moving.here.kill();
    await moving.cancel();
  });
  await moving.assertWhole();
});
