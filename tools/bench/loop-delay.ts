/** Preloaded into control (`--import`): how long others wait for its event loop, since the last question. Asked by SIGUSR2, answers in a file. */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const file = process.env.BENCH_LOOP_DELAY;
if (file) {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  process.on('SIGUSR2', () => {
    const ms = (nanoseconds: number) => Math.round(nanoseconds / 1e4) / 100;
    writeFileSync(`${file}.new`, JSON.stringify({ p999: ms(delay.percentile(99.9)), longest: ms(delay.max) }));
    renameSync(`${file}.new`, file);
    delay.reset();
  });
}
