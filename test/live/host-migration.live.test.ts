/**
 * A server goes from one host to another under real QEMU: two host processes with data directories of their own, told what to do as control tells them
 * (contract/host/migration.ts). The guest writes a numbered sequence into two disks all the while; what they hold in the end is an exact prefix of it.
 */
import { test } from 'node:test';
import { MovingServer } from '../support/moving-server.ts';
import { volumeTests } from '../support/volume-machine.ts';

const rounds = Number(process.env.BOTHY_TEST_ROUNDS ?? 20);

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
