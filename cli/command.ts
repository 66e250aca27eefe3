/** What a command of `bothy` is, and the help that is made from it. */
export interface Option {
  type: 'string' | 'boolean';
  short?: string;
  /** One line for `--help`; for a string option it starts with the value's name in capitals. */
  help: string;
}

export interface ParsedArguments {
  help: boolean;
  positionals: string[];
  flag(name: string): boolean;
  text(name: string): string | undefined;
  /** A whole number ≥ 0. */
  count(name: string): number | undefined;
}

export interface Command {
  /** One line for the overview. */
  summary: string;
  /** What follows the command's name in the usage line. */
  usage: string;
  /** Paragraphs for `--help`, already wrapped. */
  description: string;
  options: Record<string, Option>;
  positionals: { min: number; max: number };
  run(args: ParsedArguments): Promise<number>;
}

/** The option that every command on a cloud takes. */
export const dataOption: Record<'data', Option> = {
  data: { type: 'string', help: 'DIRECTORY of the cloud (default /var/lib/bothy, or BOTHY_DATA)' },
};

/** Something that the user can mend: shown without a stack trace, with what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly cure: string;
  constructor(message: string, cure: string, options?: { cause?: unknown }) {
    super(message, options);
    this.cure = cure;
  }
}

const summaries: Record<string, string> = {
  demo: 'from a bare machine to a guest you log in to, step by step',
  up: 'start the cloud (installs what is missing)',
  down: 'stop the cloud; --purge removes it',
  token: 'let another machine join: one token, for one machine',
  join: 'make this machine a host of a cloud that runs elsewhere',
  leave: 'take this machine out of the cloud that it has joined',
  drain: 'empty a host: its servers move to others, live where they run',
  undrain: 'let a host carry servers again that was emptied',
  bmc: 'the service processor (BMC) of a host: say it, test it, turn the host on or off',
  controls: 'the control processes; run one on another machine, too',
  status: 'what runs, in a few lines',
  doctor: 'check machine and cloud; each finding with its cure',
  logs: 'show the logs of the processes',
  recover: 'take up what hosts have and the database has lost',
  test: 'install what is missing and run the whole test suite',
};

export const commandNames: readonly string[] = Object.keys(summaries);
export const internalCommandNames: readonly string[] = ['supervise', 'control', 'host', 'renew', 'certify', 'shutdown'];

export function overview(): string {
  const rows = Object.entries(summaries).map(([name, summary]) => `  ${name.padEnd(8)} ${summary}`);
  return `Bothy, a private cloud that a team of two can run.

Usage: bothy COMMAND [options]

${rows.join('\n')}

Start here: sudo ./bothy demo
Every command explains itself: bothy COMMAND --help
`;
}

export function helpFor(name: string, command: Command): string {
  const rows = Object.entries({
    ...command.options,
    help: { type: 'boolean', short: 'h', help: 'this text' } as Option,
  });
  const lines = rows.map(([long, option]) => {
    const [value, ...rest] = option.help.split(' ');
    const flag = option.type === 'string' ? `--${long} ${value}` : `--${long}`;
    const help = option.type === 'string' ? rest.join(' ') : option.help;
    return `  ${option.short === undefined ? '   ' : `-${option.short},`} ${flag.padEnd(20)} ${help}`;
  });
  return `Usage: bothy ${name}${command.usage === '' ? '' : ` ${command.usage}`}

${command.description.trim()}

Options:
${lines.join('\n')}
`;
}
