/**
 * The host process: composition root. Everything that host/ needs is made here and handed down; nothing
 * is made anywhere else. If the process dies, guests go on, and the next one finds them by their QMP sockets.
 */
import type { ParsedArguments } from '../arguments.ts';
import type { HostConfiguration } from './configuration.ts';
import { readConfiguration } from './read-configuration.ts';
import { announceReady, toldToStop } from './ready.ts';

export async function run(args: ParsedArguments): Promise<number> {
  const { file, configuration } = readConfiguration<HostConfiguration>(args);
  const stop = toldToStop(file);
  void configuration;
  announceReady(file);
  const timer = setInterval(() => {}, 60_000);
  await stop;
  clearInterval(timer);
  return 0;
}
