import { makeReady, startInBackground, supervisorCommand, supervisorPid, warmSupervisor } from '../cloud/start.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { loadSettings, unknownVariables } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'start the cloud',
  usage: '[--detach] [--data DIRECTORY]',
  description: `Installs the Debian packages that are missing (their own services stay off), makes what is not there yet
(system users, certificates, database), and runs the cloud: in the foreground until Ctrl-C, or with --detach in
the background once everything serves. Safe to repeat; a cloud that runs already is left alone.

Guests are not touched by a stop with Ctrl-C: they go on, and the next 'bothy up' takes them over again.

Settings: bothy.conf in the data directory (written at first start, every line explained), BOTHY_<KEY> over it.`,
  options: {
    detach: { type: 'boolean', short: 'd', help: 'run in the background; return when the cloud serves' },
    ...dataOption,
  },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    for (const { variable, guess } of unknownVariables()) {
      process.stderr.write(`bothy: the environment's ${variable} is no setting; did you mean ${guess}?\n`);
    }
    const detach = args.flag('detach');
    const running = process.getuid?.() === 0 ? await supervisorPid(settings) : undefined;
    if (running !== undefined && !detach) {
      throw new CommandError(
        `the cloud in ${settings.paths.data} runs already (supervisor pid ${running})`,
        "see 'bothy status'; stop it with 'bothy down'",
      );
    }
    if (running !== undefined) {
      await startInBackground(settings);
      say(`The cloud in ${settings.paths.data} runs already (supervisor pid ${running}).`);
      return 0;
    }
    const { publicUrl } = await makeReady(settings, 'cloud');
    if (!detach) {
      await warmSupervisor();
      return runInForeground(settings);
    }
    const started = await startInBackground(settings);
    say(
      `${started ? 'The cloud is up' : 'The cloud runs already'}: ${publicUrl}/identity/v3 (files for clients: ${settings.paths.data}/clouds.yaml, openrc)`,
    );
    return 0;
  },
};

/** Becomes the supervisor: one process, so that a terminal or a service manager has the right one by the hand. */
function runInForeground(settings: Parameters<typeof supervisorCommand>[0]): number {
  const [command, ...rest] = supervisorCommand(settings, { foreground: true });
  process.execve!(command!, [command!, ...rest], process.env as Record<string, string>);
  return 1;
}
