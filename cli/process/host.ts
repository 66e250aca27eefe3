/** The host process. If it dies, guests go on, and the next one finds them by their processes and QMP sockets. */
import type { ParsedArguments } from '../command.ts';
import type { HostConfiguration } from './configuration.ts';
import { collectWhenIdle } from './idle.ts';
import { surviveDefects } from './last-resort.ts';
import { processLog } from './log.ts';
import { readConfiguration } from './read-configuration.ts';
import { announceReady, toldToStop } from './ready.ts';
import { startHost } from './start-host.ts';

export async function run(args: ParsedArguments): Promise<number> {
  const { file, configuration } = readConfiguration<HostConfiguration>(args);
  const log = processLog('host', configuration.logLevel);
  const stop = toldToStop(file);
  const host = await startHost(configuration, log);
  using _defects = surviveDefects(log);
  announceReady(file);
  log.info('host serves');
  collectWhenIdle();
  const signal = await stop;
  log.info({ signal }, 'host stops; guests go on');
  await host.close();
  return 0;
}
