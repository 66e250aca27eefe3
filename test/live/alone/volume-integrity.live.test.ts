/**
 * Volumes through deaths: everything that is done to one is done at once, each to a volume of its own into which a guest writes a numbered
 * sequence, and one of the processes is killed in the middle. What comes of each is an exact prefix of what was written, and holds all that its
 * guest was told is on the disk. README.md has the table of who dies in what.
 */
import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fillPool } from '../../support/full-pool.ts';
import type { GuestShell } from '../../support/guest-shell.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import { begin, deviceOf, end as ended } from '../../support/numbered-sequence.ts';
import { VolumeCloud } from '../../support/volume-cloud.ts';
import { volumeFacts } from '../../support/volume-facts.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and this would hurt it' : undefined);

/** Done to a volume that its guest writes to. */
const live = [
  ...(['snapshot', 'clone', 'extend', 'retype', 'back up', 'fill its cache', 'encrypt', 'detach'] as const),
  ...(['get a cache', 'lose its cache', 'move with its cache'] as const),
] as const;
/** Those that have another type than `local` before. */
const types: Partial<Record<Live, string>> = {
  'fill its cache': 'cached',
  'lose its cache': 'cached',
  'move with its cache': 'cached',
};
/** The types that some get. */
const retypes = {
  retype: 'fast',
  encrypt: 'sealed',
  'get a cache': 'cached',
  'lose its cache': 'local',
  'move with its cache': 'sealed-cached',
} as const satisfies Partial<Record<Live, string>>;
type Retyped = keyof typeof retypes;
/** Read when they are in the clear again. */
const sealed: readonly Live[] = ['encrypt', 'move with its cache'];
type Live = (typeof live)[number];
type Victim = 'host' | 'control' | 'postgres' | 'QEMU' | 'machine';
const victims: readonly { dies: Victim; afterMs: number }[] = [
  { dies: 'host', afterMs: 150 },
  { dies: 'control', afterMs: 100 },
  { dies: 'QEMU', afterMs: 250 },
  { dies: 'machine', afterMs: 300 },
];

/** How often each, at another moment each time, to look for what is rare; and of whom. */
const { BOTHY_TEST_ROUNDS: times = '1', BOTHY_TEST_VICTIM: only } = process.env;
const rounds = Array.from({ length: Number(times) }, (_, n) =>
  victims
    .filter(({ dies }) => dies === (only ?? dies))
    .map(({ dies, afterMs }) => ({ dies, afterMs: afterMs * (1 + n / 2) })),
).flat();

describe('volumes through deaths', { skip, concurrency: 1 }, () => {
  let cloud: VolumeCloud;
  let shell: GuestShell;
  let isAsNew = false;

  const end = async () => {
    shell?.close();
    await cloud?.[Symbol.asyncDispose]();
  };
  // What one that failed leaves would be the failure of those after it.
  beforeEach(
    async () => {
      if (isAsNew) return;
      await end();
      cloud = await VolumeCloud.start();
      shell = await cloud.boot();
    },
    { timeout: 600_000 },
  );
  afterEach((t) => {
    isAsNew = 'passed' in t && t.passed;
  });
  after(end, { timeout: 300_000 });

  const kill = async (dies: Victim) => {
    if (dies === 'QEMU') cloud.killQemu();
    else if (dies === 'machine') await cloud.restartMachine();
    else await cloud.kill(dies);
  };

  const revive = async () => {
    shell.close();
    await cloud.revive();
    shell = await cloud.shell().catch(async (error) => {
      throw new Error(`${error.message}\n${JSON.stringify(await cloud.guestSays(), null, 1)}`);
    });
  };

  const toldWith = async (error: Error) => {
    throw new Error(`${error.message}\n${JSON.stringify(await volumeFacts(cloud), null, 1)}`, { cause: error });
  };

  for (const dies of (['host', 'control', 'QEMU'] as const).filter((each) => each === (only ?? each))) {
    test(`${dies} dies while a guest stands still, for its pool is full, and when there is room again`, {
      timeout: 300_000,
    }, async () => {
      const ends = dies === 'QEMU' && { revive };
      await fillPool(cloud, () => shell, { kill: () => kill(dies), ...ends });
    });
  }

  for (const { dies, afterMs } of rounds) {
    test(`${dies} dies while volumes change under a guest that writes, and while they change back`, {
      timeout: 600_000,
    }, async (t) => {
      const round = new Round(cloud, () => shell);
      await round.begin();
      const began = performance.now();
      const asked = round.ask();
      await sleep(afterMs);
      await kill(dies);
      await asked;
      if (dies === 'QEMU' || dies === 'machine') await revive();
      await round.settled().catch(toldWith);
      t.diagnostic(`settled after ${Math.round(performance.now() - began)} ms`);
      await round.end({ died: dies === 'QEMU' || dies === 'machine' });
      await round.release();
      const back = round.askBack();
      await sleep(afterMs);
      await kill(dies === 'QEMU' ? 'postgres' : dies);
      await back;
      if (dies === 'machine') await revive();
      await round.isBack().catch(toldWith);
      await round.remove();
    });
  }
});

/** A volume for each act, what was made of them, and what the guest was told of each. */
class Round {
  readonly #cloud: VolumeCloud;
  readonly #shell: () => GuestShell;
  readonly #ids = new Map<Live, string>();
  readonly #devices = new Map<Live, string>();
  #told = new Map<Live, number>();
  #made: { snapshot: string; clone: string; backup: string } | undefined;
  #restored = '';
  /** What each of them holds, once nobody writes any more. */
  readonly #held = new Map<string, number>();
  #died = false;

  constructor(cloud: VolumeCloud, shell: () => GuestShell) {
    this.#cloud = cloud;
    this.#shell = shell;
  }

  async begin(): Promise<void> {
    const [cloud, shell] = [this.#cloud, this.#shell()];
    await shell.run('rm -f /tmp/at-* /tmp/ended-* /tmp/enough');
    await Promise.all(
      live.map(async (act) => {
        const volume_type = types[act] ?? 'local';
        const id = await cloud.make('volumes', { name: `${act} ${Date.now()}`, size: 1, volume_type });
        this.#ids.set(act, id);
        await cloud.is('volumes', id, 'available');
        await cloud.attach(id);
      }),
    );
    for (const [act, id] of this.#ids) {
      await cloud.is('volumes', id, 'in-use');
      this.#devices.set(act, await shell.run(deviceOf(id)));
    }
    for (const device of this.#devices.values()) await shell.run(begin(device));
    await until('some blocks to be written', async () => (await this.#look()) > 8, 150_000).catch(async (error) => {
      const guest = await shell.run('ls -l /dev/vd* /tmp/ended-*; cat /proc/loadavg; dmesg | tail -20; true');
      throw new Error(`${error.message}\n${JSON.stringify({ told: [...this.#told], guest }, null, 1)}`);
    });
    const device = this.#devices.get('fill its cache')!;
    await shell.run(
      `(yes full | head -c 70000000 | dd of=/dev/${device} bs=1M seek=16 conv=notrunc,fsync) >/dev/null 2>&1 &`,
    );
  }

  /** What the guest was told of each; the least. */
  async #look(): Promise<number> {
    const files = live.map((act) => `/tmp/at-${this.#devices.get(act)}`).join(' ');
    // A file that is just being written is empty, and is said as that: else each number would be the next one's.
    const lines = await this.#shell().run(`for f in ${files}; do n=$(cat $f 2>/dev/null); echo \${n:-0}; done`);
    const numbers = lines.split('\n').map(Number);
    assert.equal(numbers.length, live.length, lines);
    this.#told = new Map(live.map((act, at) => [act, numbers[at]!]));
    return Math.min(...numbers);
  }

  /** All at once. */
  async ask(): Promise<void> {
    const cloud = this.#cloud;
    const id = (act: Live) => this.#ids.get(act)!;
    const action = (act: Live, body: object) => cloud.act('POST', 'block-storage', `/volumes/${id(act)}/action`, body);
    const [snapshot, clone, backup] = await Promise.all([
      cloud.make('snapshots', { name: id('snapshot'), volume_id: id('snapshot'), force: true }),
      cloud.make('volumes', { name: id('clone'), source_volid: id('clone') }),
      cloud.make('backups', { name: id('back up'), volume_id: id('back up'), force: true }),
      action('extend', { 'os-extend': { new_size: 2 } }),
      cloud.detach(id('detach')),
      ...(Object.keys(retypes) as Retyped[]).map((act) =>
        action(act, { 'os-retype': { new_type: retypes[act], migration_policy: 'on-demand' } }),
      ),
    ]);
    this.#made = { snapshot, clone, backup };
  }

  async settled(): Promise<void> {
    const cloud = this.#cloud;
    const { snapshot, clone, backup } = this.#made!;
    await cloud.is('snapshots', snapshot, 'available');
    await cloud.is('volumes', clone, 'available');
    await cloud.is('backups', backup, 'available');
    for (const [act, id] of this.#ids) await cloud.is('volumes', id, act === 'detach' ? 'available' : 'in-use');
    // A cache that has just been given is still to be made.
    const missing = `select from volume v join volume_layer l on l.id = v.layer_id where l.observed_state is distinct from 'ready'`;
    await until('the files of all to be there', async () => (await cloud.rows(missing)).length === 0);
    assert.equal((await cloud.volume(this.#ids.get('extend')!)).size, 2);
    for (const [act, type] of Object.entries(retypes))
      assert.equal((await cloud.volume(this.#ids.get(act as Retyped)!)).volume_type, type);
    for (const act of sealed) assert.ok(await cloud.isEncrypted(this.#ids.get(act)!));
  }

  /** @param died whether the guest did: what it wrote beyond what it had told us before is its own affair */
  async end({ died }: { died: boolean }): Promise<void> {
    const before = this.#told;
    if (!died) {
      await this.#shell()
        .run(ended([...this.#devices.values()]), 120_000)
        .catch(async (error) => {
          const rows = await this.#cloud.rows('select * from volume');
          const guest = await this.#cloud.guestSays();
          const words = { devices: [...this.#devices], guest, rows };
          throw new Error(`${error.message}\n${JSON.stringify(words, null, 1)}`);
        });
      await this.#look();
    }
    this.#died = died;
    for (const [act, id] of this.#ids) {
      if (sealed.includes(act)) this.#held.set(id, this.#told.get(act)!);
      if (sealed.includes(act)) continue;
      const found = await this.#cloud.sequence('volume', id);
      const told = this.#told.get(act)!;
      if (died || act === 'detach') assert.ok(found >= told, `${act}: ${found}, told ${told}`);
      else assert.equal(found, told, act);
      this.#held.set(id, found);
    }
    const { snapshot, clone } = this.#made!;
    await this.#isBetween('snapshot', before, await this.#cloud.sequence('volume_snapshot', snapshot));
    await this.#isBetween('clone', before, await this.#cloud.sequence('volume', clone));
    this.#told = before;
  }

  #isBetween(act: Live, before: ReadonlyMap<Live, number>, found: number): void {
    const [least, most] = [before.get(act)!, this.#held.get(this.#ids.get(act)!)!];
    assert.ok(least <= found && found <= most, `of ${act}: ${least} <= ${found} <= ${most}`);
  }

  async release(): Promise<void> {
    const ids = live.filter((act) => act !== 'detach').map((act) => this.#ids.get(act)!);
    await Promise.all(ids.map((id) => this.#cloud.detach(id)));
    for (const id of ids) await this.#cloud.is('volumes', id, 'available');
  }

  /** What is done to volumes that nobody has; a cache sinks by itself. */
  async askBack(): Promise<void> {
    const cloud = this.#cloud;
    const id = (act: Live) => this.#ids.get(act)!;
    const { snapshot, clone, backup } = this.#made!;
    const action = (of: string, body: object) => cloud.act('POST', 'block-storage', `/volumes/${of}/action`, body);
    const name = `restored ${backup}`;
    await Promise.all([
      action(id('snapshot'), { revert: { snapshot_id: snapshot } }),
      ...(['retype', ...sealed] as const).map((act) =>
        action(id(act), { 'os-retype': { new_type: 'local', migration_policy: 'on-demand' } }),
      ),
      action(clone, { 'os-extend': { new_size: 2 } }),
      cloud.act('POST', 'block-storage', `/backups/${backup}/restore`, { restore: { name } }),
      cloud.act('DELETE', 'block-storage', `/volumes/${id('detach')}`),
    ]);
    const { volumes } = await cloud.volumes('GET', '/volumes');
    this.#restored = volumes.find((each: { name: string }) => each.name === name).id;
  }

  async isBack(): Promise<void> {
    const cloud = this.#cloud;
    const { snapshot, clone, backup } = this.#made!;
    const id = (act: Live) => this.#ids.get(act)!;
    const others = live.filter((act) => act !== 'detach').map(id);
    for (const each of [...others, clone, this.#restored]) await cloud.is('volumes', each, 'available');
    await cloud.is('backups', backup, 'available');
    await cloud.gone('volumes', id('detach'));
    for (const act of ['retype', ...sealed] as const) assert.equal((await cloud.volume(id(act))).volume_type, 'local');
    assert.equal((await cloud.volume(clone)).size, 2);
    await until(
      'all to have left the fast pool',
      async () => !cloud.files().some((file) => file.startsWith('fast/')),
      150_000,
    );
    assert.equal(await cloud.sequence('volume', id('snapshot')), await cloud.sequence('volume_snapshot', snapshot));
    for (const act of ['retype', 'fill its cache', 'get a cache', 'lose its cache'] as const)
      assert.equal(await cloud.sequence('volume', id(act)), this.#held.get(id(act)), act);
    for (const act of sealed) {
      const [clear, told] = [await cloud.sequence('volume', id(act)), this.#held.get(id(act))!];
      assert.ok(this.#died ? clear >= told : clear === told, `${act}: ${clear}, told ${told}`);
    }
    this.#isBetween('back up', this.#told, await cloud.sequence('volume', this.#restored));
  }

  async remove(): Promise<void> {
    const cloud = this.#cloud;
    const { snapshot, clone, backup } = this.#made!;
    const left = live.filter((act) => act !== 'detach').map((act) => this.#ids.get(act)!);
    const all = [...left, clone, this.#restored];
    await cloud.act('DELETE', 'block-storage', `/snapshots/${snapshot}`);
    await cloud.gone('snapshots', snapshot);
    await Promise.all(all.map((id) => cloud.act('DELETE', 'block-storage', `/volumes/${id}`)));
    await cloud.act('DELETE', 'block-storage', `/backups/${backup}`);
    for (const id of all) await cloud.gone('volumes', id);
    await cloud.gone('backups', backup);
    const rows = () => cloud.rows('select id from volume_layer');
    await until('layers to be gone', async () => cloud.files().length === 0 && (await rows()).length === 0, 150_000);
  }
}
