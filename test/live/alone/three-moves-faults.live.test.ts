/**
 * A guest goes live between two of three machines, and at each phase of that somebody is killed or frozen, or the way between the two is cut: in the end one
 * copy of it runs, nothing is stuck, what it wrote is exact, and its sessions go on. Somebody outside hears it all the while, so two copies would be heard.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cloudPaths } from '../../../cli/cloud-paths.ts';
import { silenceMs } from '../../../host/migration/way.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import { TravellingGuest } from '../../support/travelling-guest.ts';

const phases = ['preparing', 'copying', 'handing over'] as const;
type Phase = (typeof phases)[number];

/** Longer than a process or a way may be silent without being noticed. */
const frozenMs = 12_000;

/** All phases of each fault take some six minutes. */
const whole = process.env.BOTHY_TEST_PHASES === 'all';

describe('a guest on its way while something breaks', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let guest: TravellingGuest;

  before(
    async () => {
      world = await JoinedMachines.start(3);
      for (const machine of world.machines.slice(1)) await world.join(machine);
      first = world.machines[0]!;
      guest = await TravellingGuest.begin(world);
      await guest.migrate(world.machines[1]!);
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

  /** Between the machines that are not the first one: control is not cut off by what is between them. */
  const target = () => world.machines.slice(1).find((machine) => machine !== guest.at)!;
  const pidOf = ({ data }: JoinedMachine, name: 'host' | 'control') =>
    Number(readFileSync(join(cloudPaths(data).run, `${name}.pid`), 'utf8'));

  async function reached(phase: Phase, source: JoinedMachine): Promise<void> {
    const record = join(source.data, 'host/servers', guest.id, 'record.json');
    const isSo = {
      preparing: async () => true,
      copying: async () => (await guest.migration()).status !== 'preparing',
      'handing over': async () =>
        /"handing_over"|"handed_over"/.test(readFileSync(record, 'utf8')) ||
        !['preparing', 'running'].includes((await guest.migration()).status),
    }[phase];
    await until(phase, isSo, 120_000, 5);
  }

  /** What is done to one of the two, or to what is between them; it is whole again when this resolves. */
  type Fault = (source: JoinedMachine, target: JoinedMachine) => Promise<void>;
  const killed =
    (pid: (source: JoinedMachine, target: JoinedMachine) => number): Fault =>
    async (...both) => {
      process.kill(pid(...both), 'SIGKILL');
    };
  const frozen =
    (pidIn: (source: JoinedMachine, target: JoinedMachine) => number): Fault =>
    async (...both) => {
      const pid = pidIn(...both);
      process.kill(pid, 'SIGSTOP');
      const began = performance.now();
      await until('it to be woken', async () => performance.now() - began > frozenMs, 2 * frozenMs);
      process.kill(pid, 'SIGCONT');
    };
  const cut: Fault = async (source, to) => {
    const address = `10.8.0.${world.machines.indexOf(to) + 1}`;
    for (const words of [
      'add table inet cut',
      'add chain inet cut out { type filter hook output priority 0; }',
      `add rule inet cut out ip daddr ${address} drop`,
    ])
      await source.must('nft', words);
    await guest.settled();
    await source.must('nft', 'delete table inet cut');
  };
  const faults: Record<string, Fault> = {
    'the source’s process is killed': killed((source) => pidOf(source, 'host')),
    'the target’s process is killed': killed((_, to) => pidOf(to, 'host')),
    'control is killed': killed(() => pidOf(first, 'control')),
    'the source’s process is frozen': frozen((source) => pidOf(source, 'host')),
    'the target’s process is frozen': frozen((_, to) => pidOf(to, 'host')),
    'control is frozen': frozen(() => pidOf(first, 'control')),
    'the way between both is cut': cut,
  };

  for (const [n, [name, fault]] of Object.entries(faults).entries()) {
    const at = whole ? phases : [phases[(n + 2) % phases.length]!];
    test(`${name} (${at.join(', ')}): one copy runs in the end`, { timeout: 900_000 }, async (t) => {
      for (const phase of at) {
        const [source, to] = [guest.at, target()];
        await until(
          'both to be there',
          async () =>
            await guest.begin(to).then(
              () => true,
              () => false,
            ),
          90_000,
          1000,
        );
        await reached(phase, source);
        const began = performance.now();
        await fault(source, to);
        const where = await guest.settled();
        await until('no copy but one', async () => guest.copies().length === 1, 90_000, 200);
        assert.deepEqual(guest.copies(), [where]);
        const seconds = ((performance.now() - began) / 1000).toFixed(1);
        t.diagnostic(`${phase}: ${where === to ? 'went' : 'stayed'}, settled after ${seconds} s`);
      }
    });
  }

  /** What its QEMU waits for, for as long as it has not got it. */
  function halfway(phase: 'shaking hands' | 'sending the memory', to: JoinedMachine): () => boolean {
    const pid = guest.processOn(to)!;
    const record = JSON.parse(readFileSync(join(to.data, 'host/servers', guest.id, 'record.json'), 'utf8'));
    const place = `:${record.migration.target.memoryPort.toString(16).toUpperCase().padStart(4, '0')} `;
    const residentPages = () => Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    const before = residentPages();
    const established = () =>
      readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
        .split('\n')
        .some((line) => line.slice(0, 21).includes(place) && / 01 /.test(line.slice(20, 40)));
    return phase === 'shaking hands' ? established : () => residentPages() > before + 4096;
  }

  /** The rest of the memory fits into the kernels: the source stops its guest, and waits for the target's disks. */
  async function widen(machine: JoinedMachine): Promise<void> {
    for (const buffer of ['tcp_rmem', 'tcp_wmem'])
      await machine.must('sysctl', '-w', `net.ipv4.${buffer}=4096 400000000 400000000`);
  }

  for (const phase of ['shaking hands', 'sending the memory'] as const) {
    test(`the target’s QEMU stands still (${phase}): the guest goes on at the source`, {
      timeout: 600_000,
    }, async (t) => {
      const [source, to] = [guest.at, target()];
      await Promise.all([source, to].map(widen));
      await guest.begin(to);
      await until('the target to wait', async () => (await guest.migration()).status === 'running', 120_000, 5);
      const isSo = halfway(phase, to);
      const seen = async (): Promise<boolean> => {
        try {
          return isSo();
        } catch {
          // Its QEMU is gone.
          return assert.fail(await guest.outcome());
        }
      };
      await until(phase, seen, 120_000, 1);
      process.kill(guest.processOn(to)!, 'SIGSTOP');
      const began = performance.now();
      assert.equal(await guest.settled(), source);
      const seconds = (performance.now() - began) / 1000;
      t.diagnostic(`settled after ${seconds.toFixed(1)} s`);
      // Sooner than where nothing passes while QEMU answers: its silence was noticed.
      assert.ok(seconds < silenceMs / 1000, `${seconds} s`);
      await until('no copy but one', async () => guest.copies().length === 1, 90_000, 200);
    });
  }

  test('what it wrote is exact, and its sessions have gone on', { timeout: 420_000 }, async (t) => {
    t.diagnostic(`${await guest.assertWhole()} lines, each with its checksum`);
  });
});
