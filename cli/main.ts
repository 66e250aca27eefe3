/**
 * The bothy command's entry: finds the command, parses its options, runs it, turns what it throws into a message and an
 * exit code. Exit codes: 0 done; 1 failed, the message says what to do; 2 the command line was wrong.
 * Every command is loaded only when it is called, because two of them are long-lived processes whose memory counts.
 */
import { CloudError, sentenceOf } from '../contract/errors.ts';
import { parseCommandLine, UsageError } from './arguments.ts';
import { type Command, commandNames, helpFor, internalCommandNames, overview } from './command.ts';
import { operatorSentences } from './sentences.ts';

const loaders: Record<string, () => Promise<{ command: Command }>> = {
  up: () => import('./commands/up.ts'),
  down: () => import('./commands/down.ts'),
  token: () => import('./commands/token.ts'),
  join: () => import('./commands/join.ts'),
  leave: () => import('./commands/leave.ts'),
  drain: () => import('./commands/drain.ts'),
  undrain: () => import('./commands/undrain.ts'),
  bmc: () => import('./commands/bmc.ts'),
  controls: () => import('./commands/controls.ts'),
  status: () => import('./commands/status.ts'),
  doctor: () => import('./commands/doctor.ts'),
  logs: () => import('./commands/logs.ts'),
  recover: () => import('./commands/recover.ts'),
  demo: () => import('./commands/demo.ts'),
  test: () => import('./commands/test.ts'),
  supervise: () => import('./commands/supervise.ts'),
  control: () => import('./commands/control.ts'),
  host: () => import('./commands/host.ts'),
  renew: () => import('./commands/renew.ts'),
  shutdown: () => import('./commands/shutdown.ts'),
  certify: () => import('./commands/certify.ts'),
};

async function main(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const topic = name === 'help' ? rest[0] : undefined;
    if (topic !== undefined && loaders[topic] !== undefined) {
      process.stdout.write(helpFor(topic, (await loaders[topic]()).command));
      return 0;
    }
    (name === undefined ? process.stderr : process.stdout).write(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    const { readFileSync } = await import('node:fs');
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    process.stdout.write(`bothy ${version} (Node.js ${process.version})\n`);
    return 0;
  }
  const load = loaders[name];
  if (load === undefined) {
    if (name.startsWith('-'))
      throw new UsageError(`'${name}' before the command; options follow it: bothy COMMAND ${name} ...`);
    const { nearest } = await import('./nearest.ts');
    const guess = nearest(name, commandNames);
    throw new UsageError(`unknown command '${name}'${guess === undefined ? '' : `; did you mean '${guess}'?`}`);
  }
  const { command } = await load();
  const parsed = parseCommandLine(name, command, rest);
  if (parsed.help) {
    process.stdout.write(helpFor(name, command));
    return 0;
  }
  return command.run(parsed);
}

// Whoever reads what is said may go (`bothy status | head -1`); what is being done is done to its end.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // What the command had opened (connections, timers) must not keep a failed process alive.
  process.exit(explain(error));
}

/** Says once, on stderr, what went wrong; answers the exit code. */
function explain(error: unknown): number {
  if (error instanceof UsageError) {
    const command = process.argv[2];
    const known = command !== undefined && (commandNames.includes(command) || internalCommandNames.includes(command));
    process.stderr.write(`bothy: ${error.message}\nTry: bothy ${known ? `${command} ` : ''}--help\n`);
    return 2;
  }
  if (error instanceof Error && 'cure' in error) {
    process.stderr.write(`bothy: ${error.message}\n`);
    if (typeof error.cure === 'string' && error.cure !== '') process.stderr.write(`  → ${error.cure}\n`);
    return 1;
  }
  const sentence = error instanceof CloudError ? sentenceOf(error, operatorSentences) : undefined;
  if (sentence !== undefined) process.stderr.write(`bothy: ${sentence}\n`);
  // Whoever asked for what is not there, or may not be, is told so; where it happened says nothing to them.
  else if (error instanceof CloudError && error.code !== 'internal') {
    process.stderr.write(`bothy: ${error.message}\n`);
    return 1;
  }
  process.stderr.write(`bothy: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
