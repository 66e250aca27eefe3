import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { underMachineLock } from '../cloud/machine-lock.ts';
import { requireCloudNamespace } from '../cloud/namespace.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { purgeCloud, refuseDangerous } from '../cloud/purge.ts';
import { stopCloud } from '../cloud/stop.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { type CloudPaths, loadSettings } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'stop the cloud',
  usage: '[--keep-guests | --purge [--yes]] [--data DIRECTORY]',
  description: `Stops the cloud. Guests are asked to shut down (ACPI) and ended after a deadline; their disks stay, and the next
'bothy up' starts those again that ran. With --keep-guests they go on running, with their network; those whose evacuation
policy says so stand still, or are ended, when their host has heard nothing from control for 15 seconds: 'bothy up' lets
them go on, or starts them again.

--purge removes the cloud for good: guests, disks, volumes, images, database, certificates, logs, and every process, bridge,
tap, network namespace and nft table of it. Backups of volumes stay where backup_directory names a place of its own.
It asks first on a terminal, and wants --yes elsewhere.`,
  options: {
    'keep-guests': { type: 'boolean', help: 'leave guests and their network as they are' },
    purge: { type: 'boolean', help: 'remove the cloud and all its data' },
    yes: { type: 'boolean', short: 'y', help: 'purge without asking' },
    timeout: { type: 'string', help: 'SECONDS that guests get to shut down (default 30)' },
    ...dataOption,
  },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const keepGuests = args.flag('keep-guests');
    const purge = args.flag('purge');
    if (keepGuests && purge) throw new CommandError('--keep-guests and --purge contradict each other', 'choose one');
    requireRoot('stopping a cloud');
    requireCloudNamespace(settings);
    if (purge) refuseDangerous(settings.paths);
    // A start under way comes to its supervisor first, even one whose terminal is gone: else it would begin what is removed here.
    await underMachineLock(async () => {});
    if (purge) {
      if (!existsSync(settings.paths.data) && !existsSync(settings.paths.run)) {
        say(`There is no cloud in ${settings.paths.data}; nothing to remove.`);
        return 0;
      }
      if (!args.flag('yes')) await confirm(settings.paths.data);
    }
    // A purge throws the disks away: no use in waiting for file systems to be unmounted.
    const stopped = await stopCloud(settings, {
      keepGuests,
      guestDeadlineMs: purge ? 0 : 1000 * (args.count('timeout') ?? 30),
    });
    if (purge) {
      await purgeCloud(settings);
      say(`Removed: nothing of the cloud in ${settings.paths.data} is left.`);
    } else say(outcome(stopped, keepGuests, settings.paths));
    return 0;
  },
};

function outcome(stopped: boolean, keepGuests: boolean, { data, identityFile }: CloudPaths): string {
  if (!stopped && !existsSync(identityFile)) return `There is no cloud in ${data}; nothing to stop.`;
  if (!stopped) return `The cloud in ${data} was not running.`;
  return keepGuests
    ? 'The cloud is down; guests and their network go on, but for servers whose evacuation policy says otherwise.'
    : 'The cloud is down.';
}

async function confirm(data: string): Promise<void> {
  if (process.stdin.isTTY !== true)
    throw new CommandError(`this would delete ${data} with all guests and data`, 'add --yes to mean it');
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await prompt.question(`Delete ${data} with all guests, disks and data of this cloud? Type 'yes': `);
  prompt.close();
  if (answer.trim() !== 'yes') throw new CommandError('nothing was removed', "type 'yes' to mean it");
}
