/**
 * A server goes from one host to another, and one of the two host processes dies after each of its steps, or one of the two QEMUs: in the end there is
 * one copy that can run. Over fake QEMUs that really send each other what they have.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type MigrationId, newId } from '../../contract/ids.ts';
import { partOf } from '../support/part-of.ts';
import { type Side, SimulatedMove } from '../support/simulated-move.ts';
import { until } from '../support/until.ts';

/** After which step of it; none has more. */
const deaths = Array.from({ length: 11 }, (_, at) => at + 1);
const modes = ['live', 'cold'] as const;

for (const mode of modes) {
  test(`a ${mode} migration ends with the server at the target, as it was`, async (t) => {
    const move = await SimulatedMove.of(t, mode);
    move.announce();
    move.send(await move.ready());
    assert.equal(await move.end(), 'target');
    await move.assertOnly('target', { sameMemory: true });
    t.diagnostic(`steps: ${move.source.steps.join(' ')} | ${move.target.steps.join(' ')}`);
  });

  for (const side of ['source', 'target'] as const) {
    test(`${mode}: wherever the ${side}'s process dies, one copy can run`, async (t) => {
      const died: string[] = [];
      for (const n of partOf(deaths, 3)) {
        const step = await runOnce(t, mode, side, n);
        if (step !== undefined) died.push(step);
      }
      assert.ok(died.length > 0);
      t.diagnostic(`died after: ${died.join(', ')}`);
    });

    test(`${mode}: at whatever step of the ${side}'s its QEMU dies, one copy can run`, async (t) => {
      for (const n of partOf(deaths, 2)) await runOnce(t, mode, side, n, { qemu: true });
    });
  }
}

/** @returns the step after which it died; undefined where it was over before */
async function runOnce(
  t: TestContext,
  mode: 'live' | 'cold',
  side: Side,
  n: number,
  options: { qemu?: true } = {},
): Promise<string | undefined> {
  const move = await SimulatedMove.of(t, mode);
  const mortal = move[side];
  const from = mortal.steps.length;
  let step: string | undefined;
  const watch = (async () => {
    if (options.qemu) {
      await until('the step', () => mortal.steps.length >= from + n || over(move));
      if (mortal.steps.length < from + n) return;
      step = mortal.steps[from + n - 1];
      mortal.world.machine.guest(move.server.id)?.kill();
      return;
    }
    mortal.arm(n);
    await until('its death', () => mortal.dead || over(move));
    if (!mortal.dead) return;
    step = mortal.steps.at(-1);
    mortal.world.control.observed.delete(move.server.id);
    await mortal.begin();
  })();
  move.announce();
  await until(
    'the target to be ready, or not',
    () => move.incoming?.state === 'ready' || move.incoming?.state === 'given_up',
  );
  if (move.incoming!.state === 'ready') move.send(move.incoming!.target!);
  await watch;
  mortal.arm(Number.POSITIVE_INFINITY);
  // It was over, and it died all the same.
  if (mortal.dead) await mortal.begin();
  const where = await move.end();
  await move.assertOnly(where, { sameMemory: !options.qemu });
  return step;
}

const over = ({ incoming, outgoing }: SimulatedMove): boolean =>
  incoming?.state === 'taken_over' || incoming?.state === 'given_up' || outgoing?.state === 'stayed';

test('a migration that is cancelled while it waits leaves nothing at the target', async (t) => {
  const move = await SimulatedMove.of(t, 'live');
  move.announce();
  await move.ready();
  move.announce({ cancelled: true });
  assert.equal(await move.end(), 'source');
  await move.assertOnly('source', { sameMemory: true });
});

for (const mode of modes) {
  test(`${mode}: what came in part is in the way of no other migration`, async (t) => {
    const move = await SimulatedMove.of(t, mode);
    move.announce();
    await move.ready();
    const again = { id: newId<MigrationId>(), key: '1'.repeat(64) };
    move.announce(again);
    await until('the other one', () => move.incoming?.id === again.id && move.incoming.state !== 'preparing');
    move.send(await move.ready(), again);
    assert.equal(await move.end(), 'target');
    await move.assertOnly('target', { sameMemory: true });
  });
}

test('a host to which a server was on its way may have it anew instead', async (t) => {
  const move = await SimulatedMove.of(t, 'live');
  move.announce();
  await move.ready();
  const { control } = move.target.world;
  const given = { ...move.server, epoch: move.server.epoch + 2, generation: move.server.generation + 1 };
  control.want(given);
  const { id, generation } = given;
  await control.until(id, 'served', (seen) => seen.generation === generation && seen.state !== 'building');
  const { state, error } = control.observed.get(id)!;
  assert.deepEqual([state, error], ['running', null]);
  assert.equal(move.target.world.machine.guests.length, 1);
});

test('a target that could not go on hears that nobody wants the migration any more', async (t) => {
  const move = await SimulatedMove.of(t, 'live');
  move.announce();
  const { id } = move.server;
  const target = await move.ready();
  const { control, directory } = move.target.world;
  const record = join(directory, 'data/servers', id, 'record.json');
  rmSync(record);
  mkdirSync(record);
  move.send(target);
  await control.until(id, 'given up by its task', ({ state }) => state === 'failed');
  rmSync(record, { recursive: true });
  // In the generation in which it began: that a migration is called off is no other wish for the server.
  const desired = control.servers.find((server) => server.id === id)!;
  control.want({ ...desired, incoming: { ...move.comes, cancelled: true } });
  await until('its word', () => move.incoming?.state === 'given_up');
});

test('a server that is off goes although the QEMU of its source dies on the way', async (t) => {
  const move = await SimulatedMove.of(t, 'cold');
  const { source, server } = move;
  let killed = false;
  source.after = (step) => {
    if (killed || step !== 'mirror') return;
    killed = true;
    source.world.machine.guest(server.id)!.kill();
  };
  move.announce();
  move.send(await move.ready());
  assert.equal(await move.end(), 'target');
  assert.ok(killed);
  await move.assertOnly('target', { sameMemory: false });
});

test('a guest that may not outlive the lease runs at the target when the watchdog knows of it', async (t) => {
  const move = await SimulatedMove.of(t, 'live', { onLeaseEnd: 'pause' });
  const { machine } = move.target.world;
  const ran: boolean[] = [];
  const { guard } = machine.guard;
  t.mock.method(machine.guard, 'guard', (...args: Parameters<typeof guard>) => {
    ran.push(machine.guest(move.server.id)!.executes);
    return guard.apply(machine.guard, args);
  });
  move.announce();
  move.send(await move.ready());
  assert.equal(await move.end(), 'target');
  assert.equal(ran[0], false);
  await move.assertOnly('target', { sameMemory: true });
});

test('a guest that stood still with the lease on its way goes on with the next one, and goes', async (t) => {
  const move = await SimulatedMove.of(t, 'live', { onLeaseEnd: 'pause' });
  const { source, server } = move;
  let held = false;
  source.after = (step) => {
    if (held || step !== 'send') return;
    held = true;
    // By the watchdog, and the lease is there again.
    source.world.machine.guest(server.id)!.held = true;
  };
  move.announce();
  move.send(await move.ready());
  assert.equal(await move.end(), 'target');
  assert.ok(held && source.steps.includes('release'));
  await move.assertOnly('target', { sameMemory: true });
});

test('a source whose QEMU waits for a target that stands still is freed, and its guest runs on', async (t) => {
  const move = await SimulatedMove.of(t, 'live', {}, { qemuTimeoutMs: 3000 });
  const { source, server } = move;
  source.world.machine.behave(server.id, { drainsForEver: true });
  move.announce();
  move.send(await move.ready());
  await until('its word', () => move.outgoing?.state === 'stayed');
  assert.equal(move.outgoing!.error?.code, 'way_cut');
  assert.equal(await move.end(), 'source');
  await move.assertOnly('source', { sameMemory: true });
});

test('a QEMU that waits is freed also by a process that has not spoken with it before', async (t) => {
  const move = await SimulatedMove.of(t, 'live', {}, { qemuTimeoutMs: 3000 });
  const { source, server } = move;
  const { machine } = source.world;
  machine.behave(server.id, { drainsForEver: true });
  source.after = (step) => {
    if (step === 'migrate') source.arm(1);
  };
  move.announce();
  move.send(await move.ready());
  await until('its death', () => source.dead && machine.guest(server.id)!.draining);
  source.after = () => {};
  await source.begin();
  await until('its word', () => move.outgoing?.state === 'stayed');
  assert.equal(await move.end(), 'source');
  await move.assertOnly('source', { sameMemory: true });
});

test('a source whose key is another is not let in, and its guest runs on', async (t) => {
  const move = await SimulatedMove.of(t, 'live');
  move.announce();
  move.send(await move.ready(), { key: '0'.repeat(64) });
  assert.equal(await move.end(), 'source');
  await move.assertOnly('source', { sameMemory: true });
});

test('a server with a TPM, or volumes, is refused by name', async (t) => {
  const move = await SimulatedMove.of(t, 'live');
  move.server = { ...move.server, hardware: { tpm: { version: '2.0', model: 'tpm-crb' } } };
  move.announce();
  await until('the target to refuse', () => move.incoming?.state === 'given_up');
  assert.equal(move.incoming!.error?.code, 'tpm');
});
