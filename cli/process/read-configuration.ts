import { readFileSync } from 'node:fs';
import { UsageError } from '../arguments.ts';
import type { ParsedArguments } from '../command.ts';

/** The configuration that `--configuration FILE` names. */
export function readConfiguration<T>(args: ParsedArguments): { file: string; configuration: T } {
  const file = args.text('configuration');
  if (file === undefined)
    throw new UsageError("--configuration FILE is needed; people start this process with 'bothy up'");
  return { file, configuration: JSON.parse(readFileSync(file, 'utf8')) as T };
}
