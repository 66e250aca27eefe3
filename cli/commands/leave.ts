import { askControl, refusalOf } from '../cloud/control-client.ts';
import { hostCredentials } from '../cloud/host-certificate.ts';
import { type JoinedCloud, readIdentity } from '../cloud/identity.ts';
import { leaveChassis } from '../cloud/leave-chassis.ts';
import { underMachineLock } from '../cloud/machine-lock.ts';
import { requireCloudNamespace } from '../cloud/namespace.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { purgeCloud } from '../cloud/purge.ts';
import { stopCloud } from '../cloud/stop.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { loadSettings, type Settings } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'take this machine out of the cloud that it has joined',
  usage: '[--data DIRECTORY]',
  description: `Refused while servers, volumes or the only copy of an image are on this machine; it names them. Then the cloud forgets the host, and its processes and
files are removed here. Safe to repeat: what was interrupted goes on.`,
  options: { ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const { paths } = settings;
    requireRoot('leaving a cloud');
    requireCloudNamespace(settings);
    const joined = readIdentity(paths)?.joined;
    if (!joined)
      throw new CommandError(
        `${paths.data} is of no machine that has joined a cloud`,
        "a cloud of its own is removed by 'bothy down --purge'",
      );
    await underMachineLock(async () => {
      await beForgotten(settings, joined);
      await stopCloud(settings, { keepGuests: true, guestDeadlineMs: 0 });
      await leaveChassis(settings);
      await stopCloud(settings, { keepGuests: false, guestDeadlineMs: 0 });
      await purgeCloud(settings);
    });
    say(`This machine is no host of the cloud at ${joined.controlUrl} any more; nothing of it is left here.`);
    return 0;
  },
};

/** Until here nothing has been changed; what the cloud has forgotten before needs no other word. */
async function beForgotten({ paths }: Settings, { controlUrl: url }: JoinedCloud): Promise<void> {
  const answer = await askControl({ method: 'DELETE', url, path: '/native/v1/hosts/self', ...hostCredentials(paths) });
  const refusal = refusalOf(answer);
  if (!refusal || refusal.reason === 'host_not_found') return;
  throw new CommandError(`the cloud does not let this machine go: ${refusal.message}`, 'then run the command again');
}
