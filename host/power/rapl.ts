/**
 * What the machine takes, by the energy counters of its processors (RAPL), as Linux shows them under /sys/class/powercap (Documentation/power/powercap): microjoules that only grow, and begin anew at
 * `max_energy_range_uj`. Since Linux 5.10 only root may read them, for they tell secrets of programs; only control is told watts. Reads alone; owns the last look.
 *
 * `psys` is the whole platform where a machine has it; else packages and the memory beside them (`dram`) are summed, `core` and `uncore` being parts of a package.
 * So it is less than what the machine takes from the wall: disks, fans, cards and the supply's own loss are not in it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface RaplOptions {
  /** For tests. */
  directory?: string | undefined;
  /** Milliseconds of a clock that nobody sets; for tests. */
  now?: (() => number) | undefined;
}

interface Zone {
  name: string;
  microjoules: bigint;
  range: bigint;
}

interface Look {
  atMs: number;
  zones: ReadonlyMap<string, Zone>;
}

/** A shorter look says little: counters move each millisecond. */
const shortestMs = 1000;
/** In a longer one a counter may have begun anew more than once: 262 kJ are a quarter of an hour at 290 W. */
const longestMs = 600_000;

export class Rapl {
  readonly #directory: string;
  readonly #now: () => number;
  #last: Look | undefined;
  #watts: number | null = null;

  constructor({ directory = '/sys/class/powercap', now = () => performance.now() }: RaplOptions = {}) {
    this.#directory = directory;
    this.#now = now;
  }

  /** The mean since the look before, in whole watts; null: the machine has no counters, or it is the first look in a while. */
  async watts(): Promise<number | null> {
    const [last, zones] = [this.#last, await readZones(this.#directory)];
    const look = { atMs: this.#now(), zones };
    const elapsedMs = last ? look.atMs - last.atMs : Number.POSITIVE_INFINITY;
    if (elapsedMs < shortestMs) return this.#watts;
    this.#last = look;
    this.#watts = last && elapsedMs <= longestMs ? wattsOf(last.zones, zones, elapsedMs) : null;
    return this.#watts;
  }
}

function wattsOf(
  before: ReadonlyMap<string, Zone>,
  after: ReadonlyMap<string, Zone>,
  elapsedMs: number,
): number | null {
  const platform = [...after.values()].some(({ name }) => name === 'psys');
  let [sum, zones] = [0n, 0];
  for (const [key, { name, microjoules, range }] of after) {
    const counts = platform ? name === 'psys' : name.startsWith('package') || name === 'dram';
    const was = before.get(key)?.microjoules;
    if (!counts || was === undefined) continue;
    const grown = microjoules - was;
    sum += grown >= 0n ? grown : grown + range;
    zones++;
  }
  return zones === 0 || sum < 0n ? null : Math.round(Number(sum) / 1000 / elapsedMs);
}

async function readZones(directory: string): Promise<Map<string, Zone>> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => /^intel-rapl(:\d+){1,2}$/.test(name));
  const zones = await Promise.all(names.map(async (key) => [key, await readZone(join(directory, key))] as const));
  return new Map(zones.flatMap(([key, zone]) => (zone ? [[key, zone]] : [])));
}

/** Undefined: it can't be read, or says what is no number. */
async function readZone(path: string): Promise<Zone | undefined> {
  const read = async (name: string) => (await readFile(join(path, name), 'latin1')).trim();
  try {
    const [name, energy, range] = await Promise.all(['name', 'energy_uj', 'max_energy_range_uj'].map(read));
    if (![energy, range].every((text) => /^\d{1,19}$/.test(text!))) return undefined;
    return { name: name!, microjoules: BigInt(energy!), range: BigInt(range!) };
  } catch {
    return undefined;
  }
}
