import { underMachineLock } from '../cloud/machine-lock.ts';
import { requireCloudNamespace } from '../cloud/namespace.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { askSupervisor, bringUp, makeReady, supervisorCommand, untilReady, warmSupervisor } from '../cloud/start.ts';
import { type Command, dataOption } from '../command.ts';
import { changedSettings, dataArgument, loadSettings, type Settings, unknownVariables } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'start the cloud',
  usage: '[--detach] [--new-database] [--data DIRECTORY]',
  description: `Installs the Debian packages that are missing (their own services stay off), makes what is not there yet
(system users, certificates, database), and runs the cloud: in the foreground until Ctrl-C, or with --detach in
the background once everything serves. Safe to repeat; a cloud that runs already is left alone.

Guests are not touched by a stop with Ctrl-C: they go on, and the next 'bothy up' takes them over again.

Settings: bothy.conf in the data directory (written at first start, every line explained), BOTHY_<KEY> over it.`,
  options: {
    detach: { type: 'boolean', short: 'd', help: 'run in the background; return when the cloud serves' },
    'new-database': { type: 'boolean', help: 'the old database is lost: begin with a new one, servers are kept aside' },
    ...dataOption,
  },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    for (const { variable, guess } of unknownVariables()) {
      process.stderr.write(`bothy: the environment's ${variable} is no setting; did you mean ${guess}?\n`);
    }
    const detach = args.flag('detach');
    const newDatabase = args.flag('new-database');
    requireRoot('starting a cloud');
    requireCloudNamespace(settings);
    if (await runsAlready(settings)) {
      await untilReady(settings);
      return 0;
    }
    if (!detach) {
      // Where this works it never returns, and the lock ends with this program.
      await underMachineLock(async () => {
        if (await runsAlready(settings)) return;
        await makeReady(settings, 'cloud', { newDatabase });
        await warmSupervisor();
        becomeSupervisor(settings);
      });
      return 0;
    }
    const { publicUrl, ran, identity } = await bringUp(settings, 'cloud', { newDatabase });
    if (identity.joined) say(`${ran ? 'The host runs already' : 'The host is up'}: of the cloud at ${publicUrl}`);
    else
      say(
        `${ran ? 'The cloud runs already' : 'The cloud is up'}: ${publicUrl}/identity/v3 (files for clients: ${settings.paths.data}/clouds.yaml, openrc)`,
      );
    return 0;
  },
};

async function runsAlready(settings: Settings): Promise<boolean> {
  const answer = await askSupervisor(settings);
  if (answer === undefined) return false;
  const { paths } = settings;
  say(
    `The cloud in ${paths.data} runs already (supervisor pid ${answer.pid}); stop it with: sudo ./bothy down${dataArgument(paths)}`,
  );
  const changed = changedSettings(answer.changedSettings ?? [], paths);
  if (changed !== undefined) process.stderr.write(`bothy: ${changed.message}\n  → ${changed.cure}\n`);
  return true;
}

/** Becomes the supervisor: one process, so that a terminal or a service manager has the right one by the hand. */
function becomeSupervisor(settings: Settings): void {
  const [command, ...rest] = supervisorCommand(settings, { foreground: true });
  process.execve!(command!, [command!, ...rest], process.env as Record<string, string>);
}
