/**
 * The control process: composition root. Everything that control/ and api/ need is made here and handed down; nothing
 * is made anywhere else. If the process dies, the database and the hosts go on, and the next one carries on from there.
 */
import type { ParsedArguments } from '../arguments.ts';
import type { ControlConfiguration } from './configuration.ts';
import { readConfiguration } from './read-configuration.ts';
import { announceReady, toldToStop } from './ready.ts';

export async function run(args: ParsedArguments): Promise<number> {
  const { file, configuration } = readConfiguration<ControlConfiguration>(args);
  const stop = toldToStop(file);
  void configuration;
  announceReady(file);
  const timer = setInterval(() => {}, 60_000);
  await stop;
  clearInterval(timer);
  return 0;
}
