/** Command lines: node's own parser, with its refusals in our words. */
import { parseArgs } from 'node:util';
import type { Command, ParsedArguments } from './command.ts';
import { nearest } from './nearest.ts';

/** The command line was wrong; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export function parseCommandLine(name: string, command: Command, argv: string[]): ParsedArguments {
  const options = Object.fromEntries(
    Object.entries({ ...command.options, help: { type: 'boolean' as const, short: 'h' } }).map(([key, option]) => [
      key,
      option.short === undefined ? { type: option.type } : { type: option.type, short: option.short },
    ]),
  );
  let parsed: { values: Record<string, unknown>; positionals: string[]; tokens: { kind: string; name?: string }[] };
  try {
    parsed = parseArgs({ args: argv, options, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    throw new UsageError(refusal(error, Object.keys(options)));
  }
  const { values, positionals } = parsed;
  const help = values.help === true;
  // The last would win without a word, and '--data' says whose guests a command ends.
  const given = parsed.tokens.flatMap(({ kind, name }) => (kind === 'option' && name !== undefined ? [name] : []));
  const twice = given.find((key, index) => command.options[key]?.type === 'string' && given.indexOf(key) !== index);
  if (!help && twice !== undefined) throw new UsageError(`--${twice} is given twice`);
  if (!help && positionals.length > command.positionals.max) {
    throw new UsageError(`'${name}' does not take '${positionals[command.positionals.max]}'`);
  }
  if (!help && positionals.length < command.positionals.min) throw new UsageError(`'${name}' needs ${command.usage}`);
  return {
    help,
    positionals,
    flag: (key) => values[key] === true,
    text: (key) => values[key] as string | undefined,
    count: (key) => {
      const text = values[key] as string | undefined;
      if (text === undefined) return undefined;
      if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${key} takes a whole number, not '${text}'`);
      return Number(text);
    },
  };
}

function refusal(error: unknown, known: string[]): string {
  const { code, message } = error as { code?: string; message: string };
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const option = /'(-{1,2}[^']*)'/.exec(message)?.[1] ?? '';
    const guess = nearest(option.replace(/^-+/, ''), known);
    return `unknown option '${option}'${guess === undefined ? '' : `; did you mean '--${guess}'?`}`;
  }
  return message.split('\n')[0] ?? message;
}
