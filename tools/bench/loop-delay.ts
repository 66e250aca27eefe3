/**
 * Preloaded into control (`--import`): how long others wait for its event loop, since the last question, and what its memory is made of.
 * Asked by SIGUSR2, answers in a file.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const file = process.env.BENCH_LOOP_DELAY;
if (file) {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  process.on('SIGUSR2', () => {
    const ms = (nanoseconds: number) => Math.round(nanoseconds / 1e4) / 100;
    // What is in use, not what waits to be collected; the delay has been read by then.
    const [p999, longest] = [ms(delay.percentile(99.9)), ms(delay.max)];
    globalThis.gc?.();
    const answer = { p999, longest, memory: process.memoryUsage() };
    writeFileSync(`${file}.new`, JSON.stringify(answer));
    renameSync(`${file}.new`, file);
    delay.reset();
  });
}
