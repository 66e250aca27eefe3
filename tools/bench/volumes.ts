/**
 * `npm run bench -- volumes`: how fast volumes come about, with `--beside COMMIT` in turns with that commit's cloud, and what they cost the guests that have them. As root,
 * for the second half, which `--quick` leaves out.
 */
import { join } from 'node:path';
import { besideCommit } from './beside.ts';
import { benchVolumeIo } from './volume-io.ts';
import { benchVolumeRates, type VolumeRates } from './volume-rates.ts';

/** Ratios, milliseconds, and of OpenStack Zed (its fake volumes, on such a machine): 13.7 a second at 8 at a time, 147 ms alone. */
const targets = { ofPlain: 0.97, aSecond: 20 * 13.7, aloneMs: 147 / 20, cloneMs: 50, pauseMs: 20 };

export async function benchVolumes(options: {
  rounds: number;
  flags: (name: string) => string[];
  quick: boolean;
  beside: string | undefined;
  scratch: string;
}): Promise<{ text: string; missed: string[] }> {
  const lines: string[] = [];
  const missed: string[] = [];
  const say = (name: string, value: string, met: boolean | null) => {
    lines.push(`${name.padEnd(62)} ${value}${met === false ? ' MISSED' : ''}`);
    if (met === false) missed.push(name);
  };
  const root = join(options.scratch, 'beside');
  const other = options.beside === undefined ? undefined : await besideCommit(options.beside, root);
  const beside = other && { root, ...other };
  const [here, there] = await benchVolumeRates({ ...options, beside });
  const { alone, aSecond, cpu, control, postgres, host, ofImage, ofVolume } = here!;
  say('volume, from its POST until it is complete', ms(alone), alone <= targets.aloneMs);
  say('volumes a second, 8 at a time', aSecond.toFixed(0), aSecond >= targets.aSecond);
  say('  processor time of each, all processes', ms(cpu), null);
  say('  of it control, PostgreSQL, the host', [control, postgres, host].map(ms).join(', '), null);
  say('volume of an image of 10 GiB', ms(ofImage), ofImage < targets.cloneMs);
  say('clone of such a volume', ms(ofVolume), ofVolume < targets.cloneMs);
  if (there) {
    const ratio = (name: keyof VolumeRates) =>
      `${name} ${there[name].toPrecision(3)} (${(here![name] / there[name]).toFixed(2)})`;
    const names = Object.keys(there) as (keyof VolumeRates)[];
    lines.push(`beside ${other!.name}, and the ratio to it: ${names.map(ratio).join(', ')}`);
  }
  if (options.quick) return { text: lines.join('\n'), missed };
  if (process.getuid!() !== 0) return { text: [...lines, 'guests: not measured, this needs root'].join('\n'), missed };
  const { kinds, pauses, others } = await benchVolumeIo(options.rounds);
  for (const { name, volume, plain, ratio, noise, costs } of kinds) {
    const figures = `${volume.toFixed(0)} / ${plain.toFixed(0)} a second: ${percent(ratio)}`;
    say(`${name}, of a volume / of a plain file`, figures, ratio >= targets.ofPlain);
    const [own, plains] = costs.map((each) => each.toFixed(1));
    say('  of another plain file; QEMU’s own time for each', `${percent(noise)}; ${own} / ${plains} µs`, null);
  }
  say('longest write of a guest in a second with a snapshot', ms(pauses), pauses < targets.pauseMs);
  say('  and in one without', ms(others), null);
  return { text: lines.join('\n'), missed };
}

const percent = (ratio: number) => `${(100 * ratio).toFixed(1)} %`;
const ms = (value: number) => `${value < 100 ? value.toPrecision(3) : value.toFixed(0)} ms`;
