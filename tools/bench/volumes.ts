/** `npm run bench -- volumes`: how fast volumes come about, and what they cost the guests that have them. As root, for the second half. */
import { benchVolumeIo } from './volume-io.ts';
import { benchVolumeRates } from './volume-rates.ts';

/** Ratios, milliseconds, and of OpenStack Zed (its fake volumes, on such a machine): 13.7 a second at 8 at a time, 147 ms alone. */
const targets = { ofPlain: 0.97, aSecond: 20 * 13.7, aloneMs: 147 / 20, cloneMs: 50, pauseMs: 20 };

export async function benchVolumes(options: {
  rounds: number;
  flags: (name: string) => string[];
}): Promise<{ text: string; missed: string[] }> {
  const lines: string[] = [];
  const missed: string[] = [];
  const say = (name: string, value: string, met: boolean | null) => {
    lines.push(`${name.padEnd(62)} ${value}${met === false ? ' MISSED' : ''}`);
    if (met === false) missed.push(name);
  };
  const { alone, aSecond, cpu, ofImage, ofVolume } = await benchVolumeRates(options.flags, options.rounds);
  say('volume, from its POST until it is complete', ms(alone), alone <= targets.aloneMs);
  say('volumes a second, 8 at a time', aSecond.toFixed(0), aSecond >= targets.aSecond);
  say('  processor time of each, all processes', ms(cpu), null);
  say('volume of an image of 10 GiB', ms(ofImage), ofImage < targets.cloneMs);
  say('clone of such a volume', ms(ofVolume), ofVolume < targets.cloneMs);
  if (process.getuid!() !== 0) return { text: [...lines, 'guests: not measured, this needs root'].join('\n'), missed };
  const { kinds, pauses, others } = await benchVolumeIo(options.rounds);
  for (const { name, volume, plain, ratio } of kinds) {
    const figures = `${volume.toFixed(0)} / ${plain.toFixed(0)} a second: ${(100 * ratio).toFixed(1)} %`;
    say(`${name}, of a volume / of a plain file`, figures, ratio >= targets.ofPlain);
  }
  say('longest write of a guest in a second with a snapshot', ms(pauses), pauses < targets.pauseMs);
  say('  and in one without', ms(others), null);
  return { text: lines.join('\n'), missed };
}

const ms = (value: number) => `${value < 100 ? value.toPrecision(3) : value.toFixed(0)} ms`;
