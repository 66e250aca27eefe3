/** The control process. If it dies, the database and the hosts go on, and the next one carries on from there. */
import type { ParsedArguments } from '../command.ts';
import type { ControlConfiguration } from './configuration.ts';
import { serveHealth } from './health.ts';
import { collectWhenIdle } from './idle.ts';
import { surviveDefects } from './last-resort.ts';
import { processLog } from './log.ts';
import { readConfiguration } from './read-configuration.ts';
import { announceReady, toldToStop } from './ready.ts';
import { startControl } from './start-control.ts';

export async function run(args: ParsedArguments): Promise<number> {
  const { file, configuration } = readConfiguration<ControlConfiguration>(args);
  const log = processLog('control', configuration.logLevel);
  const stop = toldToStop(file);
  const control = await startControl(configuration, log);
  using defects = surviveDefects(log);
  const stopHealth = await serveHealth(configuration.healthSocket, async () => {
    const { parts, clocks } = await control.health();
    const escaped = defects.health();
    return { parts: escaped ? [...parts, escaped] : parts, clocks };
  });
  announceReady(file);
  log.info({ port: control.port }, 'control serves');
  collectWhenIdle();
  const signal = await stop;
  log.info({ signal }, 'control stops');
  await stopHealth();
  await control.close();
  return 0;
}
