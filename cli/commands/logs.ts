import { statSync, watch } from 'node:fs';
import { type Command, CommandError, dataOption } from '../command.ts';
import { followFile, prettyLine } from '../logs.ts';
import { nearest } from '../nearest.ts';
import { loadSettings } from '../settings.ts';
import { lastLines, logFiles } from '../supervisor/log-file.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'show logs',
  usage: '[NAME] [-f] [-n COUNT] [--data DIRECTORY]',
  description: `Shows the last lines of the log of one process (its name as in 'bothy status'), or of all of them.
JSON lines are shown readably on a terminal and as they are in a pipe.`,
  options: {
    follow: { type: 'boolean', short: 'f', help: 'go on showing what comes' },
    lines: { type: 'string', short: 'n', help: 'COUNT of lines to begin with, for each file (default 20)' },
    raw: { type: 'boolean', help: 'lines as they were written' },
    ...dataOption,
  },
  positionals: { min: 0, max: 1 },
  async run(args) {
    const { paths } = loadSettings(args.text('data'));
    const [name] = args.positionals;
    try {
      statSync(paths.log);
    } catch (error) {
      const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
      throw new CommandError(
        `no logs in ${paths.log}`,
        denied ? 'run the command with sudo' : 'is this the right --data directory?',
      );
    }
    const all = logFiles(paths.log);
    // Processes of a kind that there are several of (resolver-<network>) write into one file.
    const named = all.filter((entry) => entry.name === name);
    const ofKind = all.filter((entry) => name?.startsWith(`${entry.name}-`));
    const chosen = name === undefined ? all : named.length > 0 ? named : ofKind;
    if (chosen.length === 0) {
      const known = [...new Set(all.map((entry) => entry.name))];
      const guess = name === undefined ? undefined : nearest(name, known);
      throw new CommandError(
        `there is no log of '${name ?? 'any process'}' in ${paths.log}`,
        known.length === 0
          ? 'the cloud has not been started'
          : `${guess === undefined ? '' : `did you mean '${guess}'? `}Known are: ${known.join(', ')}`,
      );
    }
    const count = args.count('lines') ?? 20;
    const raw = args.flag('raw') || process.stdout.isTTY !== true;
    const prefix = (entry: { name: string }) => (chosen.length > 1 ? `${entry.name.padEnd(16)} ` : '');
    const print = (entry: { name: string }, line: string) => say(prefix(entry) + (raw ? line : prettyLine(line)));
    for (const entry of chosen) for (const line of lastLines(entry.file, count)) print(entry, line);
    if (!args.flag('follow')) return 0;
    // Nobody reads any more.
    process.stdout.on('error', () => process.exit(0));
    for (const entry of chosen) followFile(entry.file, (line) => print(entry, line));
    // A process that appears later is of interest as well.
    watch(paths.log, { recursive: true }, (_event, file) => {
      const fresh = logFiles(paths.log).find((entry) => entry.file.endsWith(`/${file}`));
      if (fresh === undefined || chosen.some((entry) => entry.file === fresh.file)) return;
      if (name !== undefined && fresh.name !== name && !name.startsWith(`${fresh.name}-`)) return;
      chosen.push(fresh);
      followFile(fresh.file, (line) => print(fresh, line));
    });
    await new Promise(() => {});
    return 0;
  },
};
