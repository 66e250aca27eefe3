/**
 * A guest goes twenty times live among three machines, by Nova's API, without shared storage: what it writes is exact, its sessions with another guest and
 * by its floating IP go on, and how long it stood still and was not heard is printed.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { JoinedMachines } from '../../support/joined-machines.ts';
import { notLive } from '../../support/live-cloud.ts';
import { TravellingGuest } from '../../support/travelling-guest.ts';

const rounds = Number(process.env.BOTHY_TEST_ROUNDS ?? 20);

describe('a guest that goes among three machines', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let guest: TravellingGuest;

  before(
    async () => {
      world = await JoinedMachines.start(3);
      for (const machine of world.machines.slice(1)) await world.join(machine);
      guest = await TravellingGuest.begin(world);
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      await guest?.[Symbol.asyncDispose]();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 240_000 },
  );

  const middle = (of: readonly number[]) => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)];

  test('its data is exact, its sessions go on, and it is back within moments', { timeout: 1_200_000 }, async (t) => {
    const [stood, silent]: [number[], number[]] = [[], []];
    const { machines } = world;
    for (let round = 0; round < rounds; round++) {
      // To and fro in turns and round about: each way between two of them is gone.
      const step = round % 4 === 3 ? 2 : 1;
      const to = machines[(machines.indexOf(guest.at) + step) % machines.length]!;
      const { silentMs, stoodMs } = await guest.migrate(to);
      stood.push(stoodMs);
      silent.push(silentMs);
    }
    t.diagnostic(`it stood still for, ms: ${stood.join(' ')}; median ${middle(stood)}`);
    t.diagnostic(`its floating IP was silent for, ms: ${silent.join(' ')}; median ${middle(silent)}`);
    t.diagnostic(`${await guest.assertWhole()} lines written, each with its checksum`);
    assert.ok(Math.max(...silent) < 5000, 'none was stuck');
  });
});
